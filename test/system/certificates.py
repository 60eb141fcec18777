"""Authorities and certificates, made by openssl, and a Redis that has one."""

import subprocess

import pytest

from harness import free_port

VALID = ["-days", "2"]
EXPIRED = ["-days", "-1"]


class Authority:
    """A CA with a name and a directory of its own."""

    def __init__(self, directory, name="ca"):
        self.dir, self.name = directory, name
        directory.mkdir(exist_ok=True)
        self.path, self.key = self.file(".pem"), self.file(".key")
        self._openssl("req", "-x509", *self._new(self.key), "-days", "2",
                      "-subj", f"/CN={name}", "-out", self.path)
        self._openssl("req", *self._new(self.file("-leaf.key")), "-subj",
                      "/CN=leaf", "-out", self.file("-leaf.csr"))

    def file(self, end):
        return self.dir / f"{self.name}{end}"

    @staticmethod
    def _new(key):
        return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                "-nodes", "-keyout", key]

    @staticmethod
    def _openssl(*words):
        subprocess.run(["openssl", *map(str, words)], check=True,
                       capture_output=True)

    def issue(self, name, alt, valid=None):
        """(certificate, key) for subjectAltName `alt`: IP:..., DNS:..."""
        path = self.dir / f"{self.name}-{name}.pem"
        extensions = self.dir / f"{self.name}-{name}.ext"
        extensions.write_text(f"subjectAltName = {alt}\n")
        words = ["x509", "-req", "-in", self.file("-leaf.csr"), "-CA",
                 self.path, "-CAkey", self.key, "-CAcreateserial", "-extfile",
                 extensions, "-out", path]
        self._openssl(*words, *(valid or VALID))
        return path, self.file("-leaf.key")


@pytest.fixture
def authority(tmp):
    return Authority(tmp / "ca")


def tls_options(authority, port, alt, clients="no", **validity):
    certificate, key = authority.issue("server", alt, **validity)
    return ("--tls-port", port, "--tls-cert-file", certificate,
            "--tls-key-file", key, "--tls-ca-cert-file", authority.path,
            "--tls-auth-clients", clients)


@pytest.fixture
def secure(authority, start_redis):
    """secure("IP:...") -> a Redis that speaks TLS at redis.tls_port, and not
    at the port that tests use."""
    def start(alt="IP:127.0.0.1", durable=False, **options):
        port = free_port()
        redis = start_redis(*tls_options(authority, port, alt, **options),
                            durable=durable)
        redis.tls_port = port
        return redis

    return start


def rediss(redis, host="127.0.0.1"):
    return f"rediss://{host}:{redis.tls_port}"
