"""TLS to clients and to upstreams, from PEM files; a certificate is renewed without dropping anyone."""

import logging
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from facade.config import Certificate, Trust
from facade.errors import TlsError

if TYPE_CHECKING:
    from uvicorn import Config

LOOK = 1.0
"""Seconds between looks at the certificate's files."""

logger = logging.getLogger(__name__)


def server_context(certificate: Certificate) -> ssl.SSLContext:
    """For connections from clients. Raises TlsError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["http/1.1"])
    _load(context, certificate)
    return context


def client_context(trust: Trust) -> ssl.SSLContext:
    """For connections to an upstream: verified, unless the plan says otherwise. Raises TlsError."""
    try:
        context = ssl.create_default_context(cafile=trust.authorities)
    except (OSError, ssl.SSLError) as error:
        raise TlsError(
            f"the authorities in {trust.authorities} cannot be used ({_reason(error)}). Name a PEM file."
        ) from error
    if not trust.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if trust.certificate is not None:
        _load(context, trust.certificate)
    return context


class Renewal:
    """Uvicorn's factory of a worker's server context.

    A certificate whose files change is shown to new connections; open ones go on. It gets a context of its
    own, and every handshake takes the last whole one: no certificate is ever seen with the key of another.
    Files that cannot be used are told, and not taken.
    """

    def __init__(self, certificate: Certificate) -> None:
        self._certificate = certificate
        self._current: ssl.SSLContext | None = None

    def __call__(self, config: "Config", default: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:  # noqa: ARG002 (uvicorn's signature)
        seen = self._state()
        self._current = context = server_context(self._certificate)
        context.sni_callback = self._show  # called for every client, also one that names no server
        threading.Thread(target=self._watch, args=(seen,), name="certificate", daemon=True).start()
        return context

    def _show(self, connection: ssl.SSLObject, _name: str | None, context: ssl.SSLContext) -> None:
        if self._current is not None and self._current is not context:
            connection.context = self._current

    def _watch(self, seen: object) -> None:
        pause = threading.Event()
        while not pause.wait(LOOK):
            state = self._state()
            if state == seen:
                continue
            seen = state
            try:
                self._current = server_context(self._certificate)
            except TlsError as error:
                logger.error("The certificate is not renewed, the one before is served: %s", error)
            else:
                logger.info("The certificate is renewed.")

    def _state(self) -> tuple[tuple[int, int] | None, ...]:
        return tuple(_stamp(Path(file)) for file in (self._certificate.chain, self._certificate.key))


def _stamp(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino


def _load(context: ssl.SSLContext, certificate: Certificate) -> None:
    try:
        context.load_cert_chain(certificate.chain, certificate.key, password=_no_password)
    except (OSError, ssl.SSLError, ValueError) as error:
        raise TlsError(
            f"the certificate {certificate.chain} with the key {certificate.key} cannot be used "
            f"({_reason(error)}). Name a PEM file with the chain, and one with its key, not encrypted."
        ) from error


def _no_password() -> str:
    raise ValueError("the key is encrypted")


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "it is no PEM file").replace("_", " ").lower()
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
