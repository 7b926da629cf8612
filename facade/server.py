"""The facade's processes: a parent that owns the sockets and the signals, and its workers."""

import logging
import pickle
import signal
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing import connection
from time import monotonic

from uvicorn import Config
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess
from uvicorn.supervisors.multiprocess import Process

from facade.address import parse_listen
from facade.config import Certificate
from facade.errors import AddressError
from facade.protocol import FacadeProtocol
from facade.tls import Renewal, server_context

logger = logging.getLogger(__name__)

_BACKLOG = 2048
_DRAIN = 30
"""Seconds that answers in progress get when a worker stops."""
_LOOK = 0.5
"""Seconds between two looks for workers that hang."""
_PATIENCE = 20
"""Seconds after which a worker hangs that gave no sign of life, or did not become ready."""


def bind(listen: str) -> socket.socket:
    """A listening socket on ``host:port``; port 0 takes a free one. Raises AddressError."""
    bound = _bound(*parse_listen(listen))
    bound.listen(_BACKLOG)
    return bound


def bind_each(listen: str, workers: int) -> list[socket.socket]:
    """As ``bind``, a socket for each worker: the kernel deals new connections out evenly among them.

    Workers that accept from one socket get whatever they are awake for, which may be all or nothing.
    """
    host, port = parse_listen(listen)
    # Without REUSEPORT first: with it a second facade could take the same address without a word.
    with _bound(host, port) as probe:
        port = probe.getsockname()[1]
    each = [_bound(host, port, shared=True) for _ in range(workers)]
    for bound in each:
        bound.listen(_BACKLOG)
    return each


def _bound(host: str, port: int, *, shared: bool = False) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        named = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        raise AddressError(
            f"cannot listen on {named} ({error.strerror}). Free it, or choose another."
        ) from error
    bound.set_inheritable(True)
    return bound


class Worker(Process):
    """A worker's process, as its parent sees it."""

    _asked: float | None = None

    def hangs(self, now: float) -> bool:
        """Whether it gave no sign of life since it was asked for one, long ago. Never waits."""
        with suppress(OSError, EOFError, pickle.UnpicklingError):  # it ended meanwhile
            if self._asked is None:
                self.parent_conn.send(b"ping")
                self._asked = now
            elif self.parent_conn.poll():
                self.parent_conn.recv()
                self._asked = None
        return self._asked is not None and now - self._asked > _PATIENCE


class _Supervisor(Multiprocess):
    """The parent. It keeps each worker's socket open: whoever connects while a worker is being replaced is
    served by its successor. Once it ends, new clients are turned away instead of waiting for nobody.

    A worker that ends is replaced, and a signal obeyed, at once: the kernel tells of both. SIGHUP replaces
    the workers one by one, each after its successor is ready, unless ``on_reload`` says no.
    """

    def __init__(
        self, config: Config, listening: Sequence[socket.socket], on_reload: Callable[[], bool]
    ) -> None:
        super().__init__(config, sockets=list(listening))
        self.processes: list[Worker] = []  # type: ignore[assignment]  # each is one that uvicorn knows
        self._on_reload = on_reload

    def run(self) -> None:
        signalled, by_signals = socket.socketpair()
        with signalled, by_signals:
            signalled.setblocking(False)
            by_signals.setblocking(False)
            signal.set_wakeup_fd(by_signals.fileno(), warn_on_full_buffer=False)
            self.init_processes()
            while not self.should_exit.is_set():
                connection.wait([signalled, *(each.process.sentinel for each in self.processes)], _LOOK)
                with suppress(BlockingIOError):
                    signalled.recv(4096)
                self.handle_signals()
                self.keep_subprocess_alive()
            signal.set_wakeup_fd(-1)
        self.terminate_all()
        self.join_all()

    def init_processes(self) -> None:
        self.processes = [self._started(slot) for slot in range(len(self.sockets))]

    def restart_all(self) -> None:
        for slot, worker in enumerate(self.processes):
            successor = self._started(slot)
            if not successor.wait_until_ready(_PATIENCE, self.should_exit):
                successor.kill()
                successor.join()
                if not self.should_exit.is_set():
                    logger.error("A new worker was not ready in time: the old ones serve on.")
                return
            worker.terminate()
            worker.join()
            self.processes[slot] = successor

    def keep_subprocess_alive(self) -> None:
        for slot, worker in enumerate(self.processes):
            if self.should_exit.is_set() or (worker.process.is_alive() and not worker.hangs(monotonic())):
                continue
            worker.kill()  # it may only hang
            worker.join()
            if worker.exitcode == STARTUP_FAILURE:
                logger.error("A worker could not start; why is said above.")
                self.should_exit.set()
                return
            self.processes[slot] = self._started(slot)

    def handle_hup(self) -> None:
        if self._on_reload():
            super().handle_hup()

    def handle_ttin(self) -> None:
        """The number of workers is the plan's."""

    handle_ttou = handle_ttin

    def terminate_all(self) -> None:
        for listening in self.sockets:
            listening.close()
        super().terminate_all()

    def _started(self, slot: int) -> Worker:
        worker = Worker(self.config, [self.sockets[slot]])
        worker.start()
        return worker


def run(
    app: str,
    listen: str,
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
    listening = bind_each(listen, workers)
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
    )
    ending = threading.Event()
    threads = [threading.Thread(target=each, args=(ending,), daemon=True) for each in background]
    for thread in threads:
        thread.start()
    supervisor = _Supervisor(config, listening, on_reload)
    if on_ready is not None:
        on_ready(listening[0].getsockname()[:2])
    try:
        supervisor.run()
    finally:
        ending.set()
        for thread in threads:
            thread.join(timeout=5)
        for bound in listening:
            bound.close()
