"""The facade's processes: a parent that owns the socket and the signals, and its workers."""

import socket
import threading
from collections.abc import Callable, Sequence

from uvicorn import Config
from uvicorn.supervisors import Multiprocess

from facade.config import Certificate
from facade.errors import AddressError
from facade.protocol import FacadeProtocol
from facade.tls import Renewal, server_context

_BACKLOG = 2048
_DRAIN = 30
"""Seconds that answers in progress get when a worker stops."""


def parse_listen(listen: str) -> tuple[str, int]:
    """Read ``host:port`` or ``[ipv6]:port``. Raises AddressError."""
    host, separator, port = listen.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not separator or not port.isdigit() or int(port) > 65535 or (":" in bare and bare == host):
        raise AddressError(f"the address {listen!r} is not understood. Write 127.0.0.1:8080 or [::1]:8080.")
    return bare, int(port)


def bind(listen: str) -> socket.socket:
    """A listening socket on ``host:port``; port 0 takes a free one. Raises AddressError."""
    host, port = parse_listen(listen)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise AddressError(
            f"cannot listen on {listen} ({error.strerror}). Free it, or choose another."
        ) from error
    bound.listen(_BACKLOG)
    bound.set_inheritable(True)
    return bound


class _Supervisor(Multiprocess):
    """The parent. Once it ends, new clients are turned away instead of waiting in a queue nobody serves.

    SIGHUP replaces the workers one by one, each after its successor is ready, unless ``on_reload`` says no.
    """

    def __init__(self, config: Config, bound: socket.socket, on_reload: Callable[[], bool]) -> None:
        super().__init__(config, sockets=[bound])
        self._on_reload = on_reload

    def handle_hup(self) -> None:
        if self._on_reload():
            super().handle_hup()

    def terminate_all(self) -> None:
        for listening in self.sockets:
            listening.close()
        super().terminate_all()


def run(
    app: str,
    listen: str | socket.socket,
    workers: int,
    *,
    background: Sequence[Callable[[threading.Event], None]] = (),
    on_ready: Callable[[tuple[str, int]], None] | None = None,
    on_reload: Callable[[], bool] = lambda: True,
    certificate: Certificate | None = None,
    log_level: str = "warning",
) -> None:
    """Serve until SIGTERM or SIGINT, then drain. Blocks; call it on the main thread.

    ``app`` is the import string ("module:function") of a factory that each spawned worker calls for its ASGI
    application (see `facade.lifespan`). Each of ``background`` runs in a thread of this process with an event
    that is set when it has to end. ``on_ready`` gets the bound address once the socket listens. ``on_reload``
    is asked at SIGHUP whether the workers may be replaced by new ones. With a ``certificate``
    clients speak TLS. Raises AddressError, and TlsError for a certificate that cannot be used.
    """
    if certificate is not None:
        server_context(certificate)  # what is wrong with it is told now, not by every worker
    bound = listen if isinstance(listen, socket.socket) else bind(listen)
    config = Config(
        app,
        factory=True,
        http=FacadeProtocol,
        ws="none",
        loop="uvloop",
        lifespan="on",
        workers=workers,
        access_log=False,
        log_level=log_level,
        backlog=_BACKLOG,
        ssl_context_factory=None if certificate is None else Renewal(certificate),
        timeout_graceful_shutdown=_DRAIN,
        timeout_worker_healthcheck=20,
    )
    ending = threading.Event()
    threads = [threading.Thread(target=each, args=(ending,), daemon=True) for each in background]
    for thread in threads:
        thread.start()
    supervisor = _Supervisor(config, bound, on_reload)
    if on_ready is not None:
        on_ready(bound.getsockname()[:2])
    try:
        supervisor.run()
    finally:
        ending.set()
        for thread in threads:
            thread.join(timeout=5)
        bound.close()
