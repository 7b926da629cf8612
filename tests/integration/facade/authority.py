"""Certificates for tests, by the openssl command."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from facade.config import Certificate


@dataclass(frozen=True)
class Authority:
    """Signs certificates for the loopback addresses."""

    directory: Path

    @property
    def root(self) -> str:
        return str(self.directory / "root.pem")

    def found(self) -> "Authority":
        self._openssl("req", "-x509", *self._fresh("root"), "-subj", "/CN=root", "-days", "2")
        return self

    def certificate(self, name: str, addresses: str = "IP:127.0.0.1,IP:::1,DNS:localhost") -> Certificate:
        signing = ("-CA", self.root, "-CAkey", str(self.directory / "root.key"), "-days", "2")
        names = ("-subj", f"/CN={name}", "-addext", f"subjectAltName={addresses}")
        self._openssl(
            "req", "-x509", *self._fresh(name), *names, *signing, "-addext", "basicConstraints=CA:FALSE"
        )
        return self._files(name)

    def replace(self, old: str, new: str) -> None:
        """Put a new certificate in the place of another: for a moment the pair does not fit."""
        fresh, place = self.certificate(new), self._files(old)
        Path(fresh.key).replace(place.key)
        Path(fresh.chain).replace(place.chain)

    def spoil(self, name: str) -> None:
        Path(self._files(name).chain).write_text("broken")

    def _files(self, name: str) -> Certificate:
        return Certificate(str(self.directory / f"{name}.pem"), str(self.directory / f"{name}.key"))

    def _fresh(self, name: str) -> tuple[str, ...]:
        key, file = self.directory / f"{name}.key", self.directory / f"{name}.pem"
        return (
            *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-keyout", str(key), "-out", str(file)),
        )

    @staticmethod
    def _openssl(*arguments: str) -> None:
        subprocess.run(("openssl", *arguments), check=True, capture_output=True)
