"""Labels, fields and sampling: what is said of an event, and by how many."""

import time

from backend import answer
from capturing import *  # noqa: F403 (fixtures)
from capturing import flags, pairs
from harness import exchange, wait_until


# ------------------------------------------------------- labels and fields


def test_labels_and_fields(serve, requests, start_backend):
    backend = start_backend()
    nginx = serve("""
        tocsin_label tier gold;
        tocsin_label odd 'a b,c=d%e';
        tocsin_route site;
        location / {
            tocsin_label tier silver;
            tocsin_label host $host;
            tocsin_label missing $arg_nothing;
            tocsin_field agent "<$http_user_agent>";
            tocsin_route "$request_method /";
            proxy_pass http://@backend@;
        }
        location /inherit { return 200; }
        location /less { tocsin_label tier ''; tocsin_field a b; return 200; }
    """, extra="tocsin_label env prod;", backend=backend.address)
    nginx.get("/", headers={"Host": "h", "User-Agent": "a,b=\u00e9"})
    nginx.get("/inherit")
    nginx.get("/less")
    one, two, three = requests(3)
    odd = "a%20b%2Cc%3Dd%25e"
    assert pairs(one["labels"]) == {
        "env": "prod", "odd": odd, "tier": "silver", "host": "h",
    }
    assert one["fields"].startswith("agent=<a%2Cb%3D")
    assert one["route"] == "GET /"
    assert pairs(two["labels"]) == {"env": "prod", "tier": "gold", "odd": odd}
    assert two["fields"] == ""
    assert two["route"] == "site"
    assert pairs(three["labels"]) == {"env": "prod", "odd": odd}
    assert three["fields"] == "a=b"


def test_labels_are_capped(serve, requests):
    nginx = serve("""
        location / {
            tocsin_route $arg_r;
            tocsin_label a $arg_a; tocsin_label b $arg_a;
            tocsin_label c $arg_a; tocsin_label d $arg_a;
            tocsin_label e $arg_a; tocsin_label f x$arg_b;
            return 200;
        }
    """)
    nginx.get("/?a=" + "A" * 400 + "&b=1&r=" + "R" * 400)
    [event] = requests(1)
    assert event["route"] == "R" * 255
    labels = pairs(event["labels"])
    assert len(event["labels"]) <= 1023
    # three whole ones fit beside the short one; nothing is cut in two
    assert labels == {n: "A" * 255 for n in "abc"} | {"f": "x1"}


def test_hostile_labels(serve, requests):
    nginx = serve("location / { tocsin_field x $http_x; return 200; }")
    exchange(nginx.port,
             b"GET / HTTP/1.0\r\nX: \x01\x7f,=%\t<\xff\xfe>\r\n\r\n")
    [event] = requests(1)
    assert event["fields"].startswith("x=%01%7F%2C%3D%25%09<")


# ---------------------------------------------------------------- sampling


def test_sampling_keeps_weight(serve, redis):
    nginx = serve("location / { tocsin_sample 10%; return 200; }")
    for _ in range(20):
        data = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 99
        exchange(nginx.port,
                 data + b"GET / HTTP/1.0\r\nConnection: close\r\n\r\n")
    wait_until(lambda: len(redis.entries("tocsin:beat")) >= 2)
    events = redis.entries("tocsin:request")
    # 2000 requests, a tenth of them: 6 sigma are 80
    assert 120 <= len(events) <= 280
    assert {e["weight"] for e in events} == {"10"}


def test_errors_and_slow_ones_are_always_kept(serve, requests, start_backend):
    backend = start_backend(answer(200))
    nginx = serve("""
        tocsin_sample 0.001 keep=errors slow=200ms;
        location /fine { return 200; }
        location /error { return 503; }
        location /proxy { proxy_pass http://@backend@; }
        location /down { proxy_pass http://127.0.0.1:1;
                         error_page 502 =200 /fine; }
    """, backend=backend.address)
    for _ in range(5):
        nginx.get("/error")
        nginx.get("/down")
    backend.script(answer(delay=0.25))
    nginx.get("/proxy")
    events = requests(11)
    assert {e["weight"] for e in events} == {"1"}
    assert sum(e["status"] == "503" for e in events) == 5
    assert sum(e["route"] == "/down" for e in events) == 5
    [slow] = [e for e in events if "slow" in flags(e)]
    assert slow["route"] == "/proxy"


def test_attempts_are_sampled_with_their_request(serve, redis, start_backend):
    backend = start_backend()
    nginx = serve("tocsin_sample 0.5;"
                  "location / { proxy_pass http://@backend@; }",
                  backend=backend.address)
    for _ in range(100):
        nginx.get()
    sent = time.time() * 1e6

    def settled():
        beats = redis.entries("tocsin:beat")
        return beats and int(beats[-1]["ts"]) > sent \
            and beats[-1]["buffered"] == "0"

    wait_until(settled, what="all events in Redis")
    events = redis.entries("tocsin:request")
    attempts = redis.entries("tocsin:upstream")
    assert 10 < len(events) < 90
    assert {e["seq"] for e in events} == {a["req"] for a in attempts}
    assert {a["weight"] for a in attempts} == {"2"}
