"""Events as the module would write them, for tests of the sidecar alone."""

import time


def request(seq, src="web/0/1", ts=None, **fields):
    """Fields of an entry of tocsin:request."""
    return {
        "v": 1, "src": src, "seq": seq, "ts": ts or time.time_ns() // 1000,
        "dur": 12000, "server": "shop", "route": "/", "method": "GET",
        "proto": "1.1", "status": 200, "in": 100, "out": 2000, "cache": "",
        "attempts": 1, "grpc": "", "cloud": "aws", "region": "eu-1",
        "zone": "", "weight": 1, "flags": "", "labels": "", "fields": "",
        **fields,
    }


def upstream(seq, src="web/0/1", ts=None, **fields):
    """Fields of an entry of tocsin:upstream."""
    return {
        "v": 1, "src": src, "seq": seq, "req": seq,
        "ts": ts or time.time_ns() // 1000, "dur": 11000, "server": "shop",
        "route": "/", "upstream": "shop", "peer": "10.0.0.1:80", "attempt": 1,
        "status": 200, "error": "", "connect": 200, "header": 9000, "in": 2000,
        "out": 100, "grpc": "", "cloud": "aws", "region": "eu-1", "zone": "",
        "weight": 1, "flags": "", "labels": "", **fields,
    }


def beat(request_seq=0, upstream_seq=0, src="web/0/1", ts=None, **fields):
    """Fields of an entry of tocsin:beat."""
    return {
        "v": 1, "src": src, "ts": ts or time.time_ns() // 1000,
        "request_seq": request_seq, "upstream_seq": upstream_seq,
        "emitted": request_seq + upstream_seq,
        "delivered": request_seq + upstream_seq, "dropped": 0, "buffered": 0,
        "inflight": "", **fields,
    }
