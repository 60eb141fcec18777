"""Silences: made over HTTP and with amtool, kept, obeyed, ended."""

import base64
import datetime
import json
import socket
import subprocess

import pytest

from alerting import metrics, state
from boards import Pretender, alert, now, percent
from client import exchange
from harness import tocsin, wait_until

HTTP = """
tocsin_redis @redis@ timeout=1s;
server {
    listen @port@;
    location /_alerts { tocsin_alerts write=on; }
    location /closed { tocsin_alerts; }
    location /users {
        auth_basic tocsin;
        auth_basic_user_file @users@;
        tocsin_alerts write=on;
    }
}
"""

JSON = {"Content-Type": "application/json"}
ALL = "/_alerts/api/v2/silences"
ONE = "/_alerts/api/v2/silence/"


def moment(seconds):
    when = datetime.datetime.now(datetime.timezone.utc)
    when += datetime.timedelta(seconds=seconds)
    return when.isoformat().replace("+00:00", "Z")


def matcher(name, value, regex=False, equal=True):
    return {"name": name, "value": value, "isRegex": regex, "isEqual": equal}


def silence(**members):
    made = {"matchers": [matcher("upstream", "shop")], "startsAt": moment(-1),
            "endsAt": moment(3600), "createdBy": "ada", "comment": "repair"}
    made.update(members)
    return {k: v for k, v in made.items() if v is not None}


def post(nginx, body, headers=None, path=ALL):
    body = body if isinstance(body, (bytes, str)) else json.dumps(body)
    return nginx.get(path, method="POST", body=body,
                     headers=JSON if headers is None else headers)


def listed(nginx, query=""):
    return {s["id"]: s for s in nginx.get(ALL + query).json()}


@pytest.fixture
def site(redis, start_nginx, tmp):
    users = tmp / "users"
    users.write_text("ada:{PLAIN}secret\n")
    return start_nginx(HTTP, redis=redis.url, users=users)


@pytest.fixture
def whole(redis, site, start_sidecar):
    """nginx, Redis and a sidecar that has begun to write snapshots."""
    sidecar = start_sidecar(redis, {"model": {"train": False}})
    wait_until(lambda: site.get("/_alerts/healthz").status == 200,
               what="a healthy page")
    return site, sidecar


def test_a_command_says_who_and_what(redis, site):
    reply = post(site, silence(matchers=[
        matcher("upstream", "a,b=c%d"), matcher("route", "/x.*|/y", True),
        matcher("peer", "p", False, False), matcher("cloud", "q", True, False)
    ]))
    assert reply.status == 200, reply.text
    id = reply.json()["silenceID"]
    (entry,) = redis.entries("tocsin:commands")
    assert entry["what"] == "silence" and entry["id"] == id
    assert entry["via"] == "http" and entry["address"] == "127.0.0.1"
    assert entry["user"] == "" and entry["author"] == "ada"
    assert entry["comment"] == "repair"
    assert int(entry["ends"]) - int(entry["starts"]) > 3600 * 1000000
    assert entry["matchers"] == ("upstream=eq=a%2Cb%3Dc%25d,"
                                 "route=re=/x.*|/y,peer=ne=p,cloud=nre=q")
    assert site.get(ONE + id, method="DELETE").status == 200
    assert redis.entries("tocsin:commands")[1]["what"] == "expire"


def test_the_user_who_was_logged_in(redis, site):
    login = base64.b64encode(b"ada:secret").decode()
    path = "/users/api/v2/silences"
    assert post(site, silence(), path=path).status == 401
    assert post(site, silence(), {**JSON, "Authorization": f"Basic {login}"},
                path=path).status == 200
    (entry,) = redis.entries("tocsin:commands")
    assert entry["user"] == "ada"


BAD = [
    ("", "ends too early"),
    ("{", "ends too early"),
    ("[]", "is an object"),
    (b'{"comment": "\xff"}', "UTF-8"),
    ('{"comment": "\\ud800"}', "escape"),
    ("[" * 100000, "64 KB"),
    (b"[" * 1000, "is an object"),
    (json.dumps(silence(annotations=None)) + "x", "follows"),
    (silence(matchers=None), "needs"),
    (silence(matchers=[]), "1 to 16"),
    (silence(matchers=[matcher("a", "b")] * 17), "1 to 16"),
    (silence(matchers=[{"name": "a", "value": "b"}]), "isRegex"),
    (silence(matchers=[{**matcher("a", "b"), "isregex": True}]), "no more"),
    (silence(matchers=[matcher("a-b", "c")]), "label"),
    (silence(matchers=[matcher("a", "")]), "empty text"),
    (silence(matchers=[matcher("a", ".*", True)]), "empty text"),
    (silence(matchers=[matcher("a", "x)(y", True)]), "pattern"),
    (silence(matchers=[matcher("a", "x{1,250}", True)]), "by number"),
    (silence(matchers=[matcher("a", "(x)\\1", True)]), "no meaning"),
    (silence(matchers=[matcher("a", "x" * 1024)]), "1023"),
    (silence(startsAt="yesterday"), "RFC 3339"),
    (silence(endsAt="2026-02-30T00:00:00Z"), "RFC 3339"),
    (silence(startsAt=moment(7200)), "not after"),
    (silence(startsAt=moment(-20), endsAt=moment(-10)), "past"),
    (silence(createdBy=""), "createdBy"),
    (silence(createdBy=7), "createdBy"),
    (silence(comment="x" * 1024), "comment"),
    (silence(id="../../etc"), "UUID"),
    (silence(extra=1), "no more"),
    ('{"comment": "a", "comment": "b"}', "each once"),
]


@pytest.mark.parametrize("body,words", BAD, ids=range(len(BAD)))
def test_bad_ones_are_refused(redis, site, body, words):
    reply = post(site, body)
    assert reply.status in (400, 413), reply.text
    assert words in reply.json()
    assert redis.entries("tocsin:commands") == []


def test_other_sites_are_refused(redis, site):
    host = f"127.0.0.1:{site.port}"
    id = "0123abcd-0123-4123-8123-0123456789ab"
    for headers in ({"Origin": "http://evil.example"}, {"Origin": "null"},
                    {"Origin": f"http://{host}.evil.example"},
                    {"Sec-Fetch-Site": "cross-site"},
                    {"Sec-Fetch-Site": "same-site"}):
        assert post(site, silence(), {**JSON, **headers}).status == 403
        assert site.get(ONE + id, method="DELETE",
                        headers=headers).status == 403
    for kind in ("text/plain", "application/x-www-form-urlencoded",
                 "application/jsonp", "multipart/form-data; boundary=x"):
        assert post(site, silence(), {"Content-Type": kind}).status == 415
    assert post(site, silence(), {}).status == 415
    preflight = site.get(ALL, method="OPTIONS", headers={
        "Origin": "http://evil.example",
        "Access-Control-Request-Method": "POST"})
    assert preflight.status == 405
    assert not any(h.startswith("access-control") for h in preflight.headers)
    assert redis.entries("tocsin:commands") == []
    own = {**JSON, "Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}
    assert post(site, silence(), own).status == 200


def test_read_only_by_default(redis, site):
    reply = post(site, silence(), path="/closed/api/v2/silences")
    assert reply.status == 405 and "write=on" in reply.json()
    reply = site.get("/closed/api/v2/silence/x", method="DELETE")
    assert reply.status == 405 and reply.headers["allow"] == "GET, HEAD"
    assert redis.entries("tocsin:commands") == []


def test_bad_ids(site):
    assert site.get(ONE + "x", method="DELETE").status == 400
    assert site.get(ONE + "x").status == 404
    assert site.get(ONE, method="DELETE").status == 404


def test_what_is_not_there_cannot_be_ended(redis, site, running):
    """Known by a list that is whole and new; else the command goes out."""
    def end(number):
        return site.get(f"{ONE}{number:08x}-0000-4000-8000-000000000000",
                        method="DELETE")

    assert end(9).status == 200, "no snapshot: who knows"
    sidecar = running(Pretender(redis, silences=row(
        1, now() + 3600 * 1000000) + row(2, 1)))
    wait_until(lambda: len(listed(site)) == 2, what="the list")
    reply = end(9)
    assert reply.status == 404 and reply.json() == "no such silence"
    assert reply.headers["content-type"] == "application/json"
    assert end(1).status == end(2).status == 200
    assert [e["id"][:8] for e in redis.entries("tocsin:commands")] \
        == ["00000009", "00000001", "00000002"]
    assert end(9).status == 404, "to end one is not to make one"

    made = post(site, silence()).json()["silenceID"]
    assert site.get(ONE + made, method="DELETE").status == 200, "not listed yet"
    assert end(9).status == 200, "nor may others be that were made lately"
    sidecar.stop()
    wait_until(lambda: not state(site)["sidecar"]["alive"], what="silence")
    assert end(9).status == 200, "an old list: who knows"
    redis.kill()
    assert end(9).status == 503


def test_amtool_is_told_of_an_unknown_silence(redis, site, running):
    running(Pretender(redis))
    wait_until(lambda: state(site)["healthy"], what="the sidecar")
    done = subprocess.run(
        ["amtool", f"--alertmanager.url={site.url('/_alerts')}", "silence",
         "expire", "00000009-0000-4000-8000-000000000000"],
        capture_output=True, text=True)
    assert done.returncode != 0
    assert "no such silence" in done.stderr or "404" in done.stderr, done


def test_a_body_in_pieces(redis, site):
    text = json.dumps(silence(comment="x" * 1000)).encode()
    pieces = b"".join(b"%x\r\n%s\r\n" % (len(text[i:i + 7]), text[i:i + 7])
                      for i in range(0, len(text), 7))
    said = exchange(site.port, (
        f"POST {ALL} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        "Content-Type: application/json; charset=utf-8\r\n"
        "Transfer-Encoding: chunked\r\n\r\n").encode() + pieces +
        b"0\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 200")
    assert len(redis.entries("tocsin:commands")) == 1


def test_without_redis(redis, site):
    site.allow("tocsin")
    redis.kill()
    reply = post(site, silence())
    assert reply.status == 503
    assert "Redis is away" in reply.json()
    redis.start()
    wait_until(lambda: post(site, silence()).status == 200, 30, "Redis again")


def test_redis_that_hangs(redis, site):
    site.allow("tocsin")
    assert post(site, silence()).status == 200
    redis.pause()
    try:
        reply = post(site, silence())
        assert reply.status == 503
        assert site.get("/_alerts/api/v2/alerts").status == 200
    finally:
        redis.resume()
    wait_until(lambda: post(site, silence()).status == 200, 30, "Redis again")


def test_redis_that_refuses(redis, site):
    site.allow("tocsin")
    redis.client.set("tocsin:commands", "not a stream")
    reply = post(site, silence())
    assert reply.status == 503 and "WRONGTYPE" in reply.json()


def test_a_client_that_goes_away(redis, site):
    site.allow("tocsin")
    redis.pause()
    try:
        text = json.dumps(silence()).encode()
        for _ in range(5):
            with socket.create_connection(("127.0.0.1", site.port)) as s:
                s.sendall((f"POST {ALL} HTTP/1.1\r\nHost: x\r\n"
                           "Content-Type: application/json\r\n"
                           f"Content-Length: {len(text)}\r\n\r\n").encode()
                          + text)
    finally:
        redis.resume()
    assert site.get("/_alerts/api/v2/status").status == 200
    wait_until(lambda: post(site, silence()).status == 200, 30, "an answer")


def test_amtool(whole):
    site, _ = whole

    def amtool(*args):
        done = subprocess.run(
            ["amtool", f"--alertmanager.url={site.url('/_alerts')}",
             "silence", *args], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    id = amtool("add", "--author=ada", "--comment=repair <b>", "--duration=2h",
                "upstream=shop", "route=~/a.*", "peer!=x")
    wait_until(lambda: id in listed(site), what="the silence")
    (found,) = json.loads(amtool("query", "-o", "json"))
    assert found["id"] == id and found["status"]["state"] == "active"
    assert found["comment"] == "repair <b>" and found["createdBy"] == "ada"
    assert found["matchers"] == [
        matcher("upstream", "shop"), matcher("route", "/a.*", True),
        matcher("peer", "x", False, False)] or len(found["matchers"]) == 3
    assert json.loads(amtool("query", "upstream=other", "-o", "json")) == []
    assert len(json.loads(amtool("query", "upstream=shop",
                                 "-o", "json"))) == 1
    assert amtool("update", "--duration=3h", "--comment=longer", id)
    wait_until(lambda: any(s["comment"] == "longer"
                           for s in listed(site).values()), what="the update")
    for each in listed(site):
        amtool("expire", each)
    wait_until(lambda: {s["status"]["state"] for s in listed(site).values()}
               == {"expired"}, what="the end")
    assert json.loads(amtool("query", "-o", "json")) == []


def test_restart_and_loss_of_the_checkpoint(whole, redis):
    site, sidecar = whole
    id = post(site, silence(comment="ö\n\t\"", createdBy="a,b=c")).json()[
        "silenceID"]
    gone = post(site, silence()).json()["silenceID"]
    site.get(ONE + gone, method="DELETE")
    wait_until(lambda: listed(site).get(gone, {}).get("status", {}).get(
        "state") == "expired", what="both")
    before = listed(site)
    assert before[id]["comment"] == "ö\n\t\"", before
    assert before[id]["createdBy"] == "a,b=c"
    for loss in (False, True):
        sidecar.stop()
        if loss:
            for path in sidecar.dir.rglob("checkpoint*"):
                path.unlink()
        redis.client.delete("tocsin:board")
        sidecar.start()
        sidecar.wait_board()
        wait_until(lambda: listed(site) == before, what="the same silences")


def test_commands_that_make_no_sense(whole, redis):
    site, sidecar = whole
    for fields in ({"what": "silence"}, {"v": "1", "what": "dance"},
                   {"v": "x"}, {"v": "1", "what": "silence", "id": "x",
                                "matchers": "a=re=(", "ends": "9" * 19}):
        redis.client.xadd("tocsin:commands", fields)
    id = post(site, silence()).json()["silenceID"]
    wait_until(lambda: id in listed(site), what="the one that does")
    assert list(listed(site)) == [id]


def command(sidecar, verb, *args):
    return tocsin("silence", verb, "-c", str(sidecar.dir / "tocsin.yaml"),
                  *args)


def test_the_command_line_refuses(redis, start_sidecar):
    sidecar = start_sidecar(redis, {"model": {"train": False}})
    for args, words in (
            (["add"], "matcher is needed"), (["add", "x"], "no matcher"),
            (["add", "x=~("], "without a )"), (["add", "x="], "empty text"),
            (["add", "--duration", "soon", "x=y"], "no time"),
            (["expire", "x"], "no id"), (["expire"], "id is needed"),
            (["sing"], "usage")):
        done = command(sidecar, *args)
        assert done.returncode == 2 and words in done.stderr, args
    assert redis.entries("tocsin:commands") == []
    assert command(sidecar, "list").stdout == "no silences\n"


def row(number, ends, starts=0):
    """A line of `silences` in a snapshot."""
    return "\t".join([f"{number:08x}-0000-4000-8000-000000000000", str(starts),
                      str(ends), "1", "ada", "", percent("a=eq=b")]) + "\n"


def test_what_is_suppressed_is_marked_and_counted(redis, site, running):
    redis.client.xadd("tocsin:alerts", alert(id="a-1"))
    redis.client.xadd("tocsin:alerts", alert(id="b-1", fingerprint="b"))
    later = now() + 3600 * 1000000
    running(Pretender(
        redis, active="a-1,b-1", silenced="a-1=the-silence",
        silences=row(1, later) + row(2, later, later - 1) + row(3, 1)))

    def found(query=""):
        got = site.get("/_alerts/api/v2/alerts" + query).json()
        return {a["tocsin"]["id"]: a["status"] for a in got}

    wait_until(lambda: "a-1" in found("?active=false"), what="the silenced one")
    assert found()["a-1"]["state"] == "suppressed"
    assert found()["a-1"]["silencedBy"] == ["the-silence"]
    assert found()["b-1"]["state"] == "active"
    assert found()["b-1"]["silencedBy"] == []
    assert list(found("?silenced=false")) == ["b-1"]

    said = state(site)
    assert said["alerts"]["suppressed"] == said["alerts"]["firing"] == 1
    assert said["alerts"]["critical"] == 1
    assert [said["silences"][s] for s in ("active", "pending", "expired")] \
        == [1, 1, 1]
    assert said["silences"]["write"] is True
    closed = site.get("/closed/api/v2/status").json()["tocsin"]["silences"]
    assert closed["write"] is False and "user" not in closed

    counted = metrics(site)
    assert counted['tocsin_alerts{state="suppressed",severity="critical"}'] == 1
    assert counted['tocsin_alerts{state="firing",severity="critical"}'] == 1
    for name in ("active", "pending", "expired"):
        assert counted[f'tocsin_silences{{state="{name}"}}'] == 1
    done = subprocess.run(["promtool", "check", "metrics"],
                          input=site.get("/_alerts/metrics").text,
                          capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    def amtool(*args):
        done = subprocess.run(
            ["amtool", f"--alertmanager.url={site.url('/_alerts')}", "alert",
             "query", "-o", "json", *args], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return {a["status"]["state"] for a in json.loads(done.stdout)}

    assert amtool("--silenced") == {"suppressed"}
    assert amtool("--active") == {"active"}


def test_the_state_tells_when_silences_change(redis, site, running):
    sidecar = running(Pretender(redis))

    def version():
        return state(site)["silences"]["version"]

    wait_until(lambda: state(site)["healthy"], what="the sidecar")
    before = version()
    sidecar.fields["silences"] = row(1, now() + 3600 * 1000000)
    wait_until(lambda: version() != before, what="another version")
    before = version()
    sidecar.fields["silenced"] = "a-1=x"
    wait_until(lambda: version() != before, what="another version")


def test_there_is_an_end_to_silences(redis, site, running):
    later = now() + 3600 * 1000000
    sidecar = running(Pretender(redis, silences="".join(
        row(i, later) for i in range(256))))
    wait_until(lambda: len(listed(site)) == 256, what="all")
    reply = post(site, silence())
    assert reply.status == 400 and "256 silences already" in reply.json()
    changed = silence(id="00000001-0000-4000-8000-000000000000")
    assert post(site, changed).status == 200
    sidecar.fields["silences"] = row(1, 1) + "".join(
        row(i, later) for i in range(2, 257))
    wait_until(lambda: post(site, silence()).status == 200, what="room")


def test_a_refused_body_is_not_the_next_request(redis, site):
    body = b"DELETE /hidden HTTP/1.1\r\nHost: x\r\n\r\n"
    for path, headers in ((ALL, "Content-Type: text/plain"),
                          ("/closed/api/v2/silences", "Accept: */*"),
                          (ALL, "Origin: http://evil.example")):
        said = exchange(site.port, (
            f"POST {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n").encode() + body +
            b"GET /_alerts/api/v2/receivers HTTP/1.1\r\nHost: x\r\n"
            b"Connection: close\r\n\r\n")
        assert said.count(b"HTTP/1.1 ") == 2, said
        assert b'[{"name":"tocsin"}]' in said
    assert redis.entries("tocsin:commands") == []
