"""Authorities and certificates for tests of TLS, made by openssl."""

import subprocess

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
