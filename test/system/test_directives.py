"""Each directive: what it takes, and what it says of what it does not."""

import os
import re

import pytest

from harness import Nginx

REDIS = "tocsin_redis redis://127.0.0.1:6379;"

IN_LOCATION = """
    tocsin on;
    server {{ listen @port@; location / {{ {} return 200; }} }}
"""


def http(text):
    return f"{REDIS}\n{text}\n{IN_LOCATION.format('')}"


def location(text):
    return REDIS + IN_LOCATION.format(text)


GOOD = [
    # without Redis, nothing is asked for
    "server { listen @port@; }",
    "tocsin off; server { listen @port@; }",
    # of Redis
    "tocsin_redis redis://127.0.0.1; tocsin on; server { listen @port@; }",
    "tocsin_redis redis://127.0.0.1:6380/3 redis://127.0.0.1:6381/3;"
    " tocsin on; server { listen @port@; }",
    "tocsin_redis redis://[::1]:6379; tocsin on; server { listen @port@; }",
    "tocsin_redis sentinel://m@127.0.0.1:26379,[::1],localhost/2; tocsin on;"
    "server { listen @port@; }",
    "tocsin_redis rediss://[::1]/2 rediss://localhost:6380; tocsin on;"
    "server { listen @port@; }",
    "tocsin_redis redis://127.0.0.1:6380 tls=on tls_name=a.b; tocsin on;"
    "server { listen @port@; }",
    "tocsin_redis unix:/run/redis.sock; tocsin on; server { listen @port@; }",
    "tocsin_redis unix:/run/redis.sock?db=2; tocsin on;"
    " server { listen @port@; }",
    "tocsin_redis redis://127.0.0.1 timeout=500ms; tocsin on;"
    " server { listen @port@; }",
    http("tocsin_stream edge;"),
    http("tocsin_stream eu-west_1:edge.v2 maxlen=5000 shards=64;"),
    http("tocsin_zone 1m;"),
    http("tocsin_buffer 64k;"),
    http("tocsin_buffer 32m flush=250ms;"),
    http("tocsin_cloud 10.0.0.0/8 aws;"),
    http("tocsin_cloud 10.1.2.3 azure westeurope;"),
    http("tocsin_cloud fd00::/8 gcp europe-west4 europe-west4-a;"),
    http("tocsin_cloud upstream:api my_own_2 'New York' rack-7;"
         " upstream api { server 127.0.0.1:1; }"),
    http("tocsin_cloud upstream:127.0.0.1:81 aws; tocsin_cloud upstream:LOCAL"
         " gcp; upstream local { server 127.0.0.1:1; } server { listen @port2@;"
         " location / { proxy_pass http://127.0.0.1:81; } }"),
    http("tocsin_cloud 10.0.0.0/8 alibaba_cloud;"
         " tocsin_cloud 10.1.0.0/16 aws;"),
    location("tocsin_route '/api/:id';"),
    location('tocsin_route "$request_method $server_name";'),
    location("tocsin_label tier gold; tocsin_label who $remote_user;"),
    location("tocsin_label tier ''; tocsin_field agent ${http_user_agent};"),
    location("tocsin_sample 1;"),
    location("tocsin_sample 0.001;"),
    location("tocsin_sample 10%;"),
    location("tocsin_sample 0.5% keep=errors slow=2s;"),
    location("tocsin off;"),
]


@pytest.mark.parametrize("text", GOOD)
def test_good(nginx_test, text):
    code, said = nginx_test(text)
    assert code == 0, said
    assert "[warn]" not in said


BAD = [
    # (configuration, what the message must hold)
    (http("tocsin maybe;"), 'it must be "on" or "off"'),
    ("tocsin on; server { listen @port@; }",
     '"tocsin on" needs "tocsin_redis URL"'),
    ("server { listen @port@; location /a { tocsin_alerts; } }",
     '"tocsin_alerts" needs "tocsin_redis URL"'),
    ("server { listen @port@; tocsin_redis redis://127.0.0.1; }",
     "is not allowed here"),
    ("tocsin_redis;", "invalid number of arguments"),
    ("tocsin_redis http://127.0.0.1;", "redis://.*unix:"),
    ("tocsin_redis 127.0.0.1:6379;", "redis://.*unix:"),
    ("tocsin_redis redis://127.0.0.1:99999;", "port|URL"),
    ("tocsin_redis redis://127.0.0.1/x;", "database|db|DB"),
    ("tocsin_redis rediss://127.0.0.1:99999;", "port|URL"),
    ("tocsin_redis sentinel://127.0.0.1:26379;", "no name of a master"),
    ("tocsin_redis sentinel://@127.0.0.1;", "no name of a master"),
    ("tocsin_redis sentinel://m@127.0.0.1,;", "in URL"),
    ("tocsin_redis sentinel://m@127.0.0.1/x;", "invalid database"),
    ("tocsin_redis sentinel://m@127.0.0.1 tls=on;", '"tls_name=" must give'),
    ("tocsin_redis redis://127.0.0.1 tls=maybe;", '"tls=on"'),
    ("tocsin_redis redis://127.0.0.1 ca=/etc/ca.pem;",
     'without "tls=on" or a URL that begins with "rediss://"'),
    ("tocsin_redis redis://127.0.0.1 tls_name=x;", 'without "tls=on"'),
    ("tocsin_redis unix:/run/redis.sock tls=on;", "no TLS over a unix socket"),
    ("tocsin_redis rediss://127.0.0.1 ca=;", '"ca=" in .* is empty'),
    ("tocsin_redis rediss://127.0.0.1 cert=/etc/cert.pem;",
     'one of "cert=" and "key=" without the other'),
    ("tocsin_redis rediss://127.0.0.1 ca=/no/such/ca.pem;"
     "tocsin on; server { listen @port@; }",
     'no/such/ca.pem.*failed'),
    ("tocsin_redis rediss://127.0.0.1 ca=/dev/null;"
     "tocsin on; server { listen @port@; }", "dev/null.*failed"),
    ("tocsin_redis rediss://127.0.0.1 cert=/dev/null key=/dev/null;"
     "tocsin on; server { listen @port@; }",
     'cannot load certificate "/dev/null"'),
    ("tocsin_redis timeout=1s;", "has no URL"),
    ("tocsin_redis redis://127.0.0.1 user=edge;", 'without "password_file="'),
    ("tocsin_redis redis://127.0.0.1 password=secret;",
     'invalid parameter "password=secret".*"user=", "password_file="'),
    ("tocsin_redis redis://127.0.0.1 password_file=/no/such/file;",
     "/no/such/file.*failed"),
    ("tocsin_redis redis://127.0.0.1 password_file=/tmp;",
     "must be a file that holds the password"),
    ("tocsin_redis redis://127.0.0.1 timeout=1ms;", "from 10ms to 60s"),
    ("tocsin_redis redis://127.0.0.1 timeout=soon;", "from 10ms to 60s"),
    (http("tocsin_redis redis://127.0.0.2;"), "duplicate"),
    (http("tocsin_stream '';"), "characters a-z A-Z 0-9 _ . : -"),
    (http("tocsin_stream 'a{0}b';"), "characters a-z A-Z 0-9 _ . : -"),
    (http("tocsin_stream 'a b';"), "characters a-z A-Z 0-9 _ . : -"),
    (http(f"tocsin_stream {'x' * 65};"), "1 to 64 of the characters"),
    (http("tocsin_stream t maxlen=10;"), "number of entries from 1000"),
    (http("tocsin_stream t maxlen=many;"), "number of entries from 1000"),
    (http("tocsin_stream t shards=0;"), "from 1 to 64"),
    (http("tocsin_stream t shards=65;"), "from 1 to 64"),
    (http("tocsin_stream t keep=1;"), '"maxlen=" or "shards="'),
    (http("tocsin_stream a; tocsin_stream b;"), "duplicate"),
    (http("tocsin_zone 4k;"), "from 1m to 1024m"),
    (http("tocsin_zone large;"), "from 1m to 1024m"),
    (http("tocsin_zone 8m; tocsin_zone 8m;"), "duplicate"),
    (http("tocsin_buffer 1k;"), "from 64k to 1024m"),
    (http("tocsin_buffer 1m flush=0;"), "from 1ms to 10s"),
    (http("tocsin_buffer 1m flush=1m;"), "from 1ms to 10s"),
    (http("tocsin_buffer 1m often;"), 'it may be "flush="'),
    (http("tocsin_buffer 1m; tocsin_buffer 2m;"), "duplicate"),
    (http("tocsin_cloud 10.0.0.0/8;"), "invalid number of arguments"),
    (http("tocsin_cloud 10.0.0.0/8 AWS;"),
     "aws, azure, gcp, alibaba_cloud, tencent_cloud"),
    (http("tocsin_cloud 10.0.0.0/8 '';"), "aws, azure, gcp"),
    (http("tocsin_cloud 10.0.0.0/33 aws;"), "10.0.0.0/8.*upstream:NAME"),
    (http("tocsin_cloud backend aws;"), "10.0.0.0/8.*upstream:NAME"),
    (http("tocsin_cloud upstream: aws;"), "without a name"),
    (http("tocsin_cloud 10.0.0.0/8 aws; tocsin_cloud 10.0.0.0/8 gcp;"),
     'duplicate network "10.0.0.0/8"'),
    (http("tocsin_cloud upstream:a aws; tocsin_cloud upstream:A gcp;"),
     'duplicate "upstream:A"'),
    (http(f"tocsin_cloud 10.0.0.0/8 aws {'r' * 256};"), "longer than 255"),
    (location("tocsin_route '';"), "from 1 to 255 bytes"),
    (location("tocsin_route a; tocsin_route b;"), "duplicate"),
    (location("tocsin_route $no_such_variable_xyz;"),
     'unknown "no_such_variable_xyz" variable'),
    (location("tocsin_label 1st x;"), "must not begin with a digit"),
    (location("tocsin_label a-b x;"), "characters a-z A-Z 0-9 _"),
    (location("tocsin_label '' x;"), "characters a-z A-Z 0-9 _"),
    (location(f"tocsin_label {'n' * 64} x;"), "from 1 to 63"),
    (location("tocsin_label a x; tocsin_label a y;"), 'duplicate "a"'),
    (location(f"tocsin_field a {'v' * 256};"), "longer than 255 bytes"),
    (location("".join(f"tocsin_label l{i} x;" for i in range(17))),
     "at most 16 may"),
    (location("".join(f"tocsin_label l{i} {'%' * 100};" for i in range(4))),
     "at most 1023 may be sent"),
    (location("tocsin_sample 0;"), "from 0.001 to 1 or from 0.1% to 100%"),
    (location("tocsin_sample 2;"), "from 0.001 to 1 or from 0.1% to 100%"),
    (location("tocsin_sample 200%;"), "from 0.001 to 1 or from 0.1% to 100%"),
    (location("tocsin_sample half;"), "from 0.001 to 1 or from 0.1% to 100%"),
    (location("tocsin_sample 1 keep=all;"), '"keep=errors" or "slow=TIME"'),
    (location("tocsin_sample 1 slow=0;"), "such as 500ms or 2s"),
    (location("tocsin_sample 1; tocsin_sample 1;"), "duplicate"),
]


@pytest.mark.parametrize("text, message", BAD)
def test_bad(nginx_test, text, message):
    code, said = nginx_test(text)
    assert code != 0
    emerg = [line for line in said.splitlines() if "[emerg]" in line]
    assert re.search(message, " ".join(emerg)), said


WARN = [
    (http("tocsin_cloud 10.0.0.0/8 aliyun;"),
     'provider "aliyun".*usual name is "alibaba_cloud"'),
    (http("tocsin_cloud 10.0.0.1/8 aws;"), "low address bits"),
    (http("tocsin_cloud upstream:shops aws; upstream shop {"
          " server 127.0.0.1:1; } upstream pay { server 127.0.0.1:1; }"),
     r'upstream:shops" names no upstream.*: "shop", "pay" in .*nginx.conf:\d+'),
    (http("\ntocsin_cloud upstream:x aws;"), "there are: none in .*:"),
]


@pytest.mark.parametrize("text, message", WARN)
def test_warning(nginx_test, text, message):
    code, said = nginx_test(text)
    assert code == 0
    assert re.search(rf"\[warn\].*{message}", said), said


def test_password_file_of_everybody(nginx_test, tmp):
    secret = tmp / "secret"
    secret.write_text("hunter2\n")
    text = (f"tocsin_redis redis://127.0.0.1 user=u password_file={secret};"
            " tocsin on; server { listen @port@; }")

    secret.chmod(0o644)
    code, said = nginx_test(text)
    assert code == 0
    assert "accessible to everybody" in said
    assert "hunter2" not in said

    secret.chmod(0o600)
    code, said = nginx_test(text)
    assert code == 0
    assert "[warn]" not in said

    secret.write_text("")
    code, said = nginx_test(text)
    assert code != 0
    assert "must be a file that holds the password" in said


def test_password_file_is_relative_to_the_configuration(nginx_test, tmp):
    secret = tmp / "secret"
    secret.write_text("hunter2\n")
    secret.chmod(0o600)
    code, said = nginx_test(
        "tocsin_redis redis://127.0.0.1 password_file=../secret;"
        " tocsin on; server { listen @port@; }"
    )
    assert code == 0, said


class Last(Nginx):
    """With "worker_processes" where the http block does not know it yet."""

    WORKERS = "worker_processes @workers@;\n"
    TEMPLATE = Nginx.TEMPLATE.replace(WORKERS, "") + WORKERS


SLOTS = 4 * os.cpu_count() + 8  # unless more workers are known of
MOST = 256


def slots_test(directory, where, workers):
    return where.test(directory("nginx"), http(""), workers=workers)


@pytest.mark.skipif(SLOTS >= MOST, reason="has all slots there can be")
@pytest.mark.parametrize("workers, code, message", [
    (SLOTS // 2, 0, None),
    (SLOTS // 2 + 1, 0, rf"\[warn\].*tocsin has {SLOTS} slots.* reload"),
    (SLOTS + 1, 1, rf"\[emerg\].*tocsin has {SLOTS} slots.*before \"http\""),
])
def test_slots_are_too_few(directory, workers, code, message):
    assert slots_test(directory, Nginx, workers)[0] == 0
    found, said = slots_test(directory, Last, workers)
    assert found == code, said
    if message:
        assert re.search(message, said), said
    else:
        assert "[warn]" not in said


@pytest.mark.parametrize("where", [Nginx, Last])
def test_slots_cannot_be_more(directory, where):
    code, said = slots_test(directory, where, MOST + 1)
    assert code != 0
    assert re.search(rf"\[emerg\].* must be {MOST} at most", said), said
