"""Child processes that answer when asked to be ready, and never outlive the process that started them."""

import atexit
import contextlib
import fcntl
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from migration.demo.errors import ProcessError

# Below the range from which systems hand out ports for outgoing connections (Linux 32768, others 49152):
# a port from here is not taken by a client's connection between being chosen and being listened on.
_PORTS = range(20000, 32000)

# Until a port is listened on, only who was given it knows. So they go round among all processes of a user.
_LAST_PORT = Path(tempfile.gettempdir()) / f"strangler-port-{os.getuid()}"

# How often a server that is starting is asked whether it is ready, in seconds.
_POLL = 0.05

# The last lines of a child's output that go into an error.
_TAIL_LINES = 20

# What the guardian runs. It knows process groups by lines on its standard input, and stops them when that
# input ends, which is when its parent is gone, whatever way it went: a pipe also closes under SIGKILL.
_GUARDIAN = """
import os, signal, sys, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
groups = {}
for line in sys.stdin:
    group, stop = map(int, line.split())
    if stop:
        groups[group] = stop
    else:
        groups.pop(group, None)
def signalled(group, number):
    try:
        os.killpg(group, number)
    except OSError:
        return False
    return True
groups = {group: stop for group, stop in groups.items() if signalled(group, stop)}
deadline = time.monotonic() + 5
while groups and time.monotonic() < deadline:
    time.sleep(0.05)
    groups = {group: stop for group, stop in groups.items() if signalled(group, 0)}
for group in groups:
    signalled(group, signal.SIGKILL)
"""


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port on which nothing listens now, and which nobody else was given just now.

    Raises ProcessError when a hundred in a row are taken.
    """
    for _ in range(100):
        with contextlib.suppress(OSError), socket.socket() as probe:
            port = _next_port()
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            return port
    raise ProcessError(
        f"No free TCP port on {host} between {_PORTS.start} and {_PORTS.stop}; stop what uses them."
    )


def _next_port() -> int:
    """The port after the one that was given last, to whichever process of this user."""
    file = os.open(_LAST_PORT, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    with os.fdopen(file, "r+") as last:
        fcntl.flock(last, fcntl.LOCK_EX)
        said = last.read()
        port = int(said) + 1 if said.isdecimal() else random.choice(_PORTS)  # noqa: S311 - no secret
        if port not in _PORTS:
            port = _PORTS.start
        last.seek(0)
        last.write(f"{port}")
    return port


class _Guardian:
    """One process beside this one that stops the children's process groups when this one dies."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self._watched: dict[int, Process] = {}

    def watch(self, process: "Process", stop: signal.Signals) -> None:
        with self._lock:
            self._start()
            self._watched[process.pid] = process
            self._tell(process.pid, int(stop))

    def forget(self, process: "Process") -> None:
        with self._lock:
            if self._watched.pop(process.pid, None) is not None:
                self._tell(process.pid, 0)

    def _tell(self, group: int, stop: int) -> None:
        assert self._process is not None  # noqa: S101 - it was started before any child is watched
        assert self._process.stdin is not None  # noqa: S101 - with a pipe
        self._process.stdin.write(f"{group} {stop}\n".encode())
        self._process.stdin.flush()

    def _start(self) -> None:
        if self._process is not None and self._owner == os.getpid():
            return
        self._owner = os.getpid()  # a forked child needs a guardian of its own
        self._watched = {}
        command = [sys.executable, "-I", "-S", "-c", _GUARDIAN]
        # A session of its own: the terminal's Ctrl-C is for the parent.
        self._process = subprocess.Popen(  # noqa: S603 - a fixed command
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True
        )
        atexit.register(self._end, self._process)

    def _end(self, guardian: subprocess.Popen[bytes]) -> None:
        """Stop what still runs, all at once, and then the guardian."""
        if self._owner == os.getpid():
            children = list(self._watched.values())
            for child in children:
                child.ask_to_end()
            for child in children:
                child.terminate(timeout=5)
            guardian.communicate()


_guardian = _Guardian()


class Process:
    """One child, with its own process group and its output in a file.

    Starts when made or entered as a context manager, and is terminated at the end of the block.
    Should this process die without saying so, a guardian stops the child's whole group.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        log: Path,
        *,
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
        user: str | int | None = None,
        stop: signal.Signals = signal.SIGTERM,
    ) -> None:
        """Start ``command``, appending both outputs to ``log``.

        ``environment`` is added to this process's. ``user`` runs the child with that user's rights alone.
        ``stop`` is the signal that asks it to end. Raises ProcessError when the command cannot be run.
        """
        self.command = tuple(str(part) for part in command)
        self.log = log
        self._stop = stop
        self._ended = False
        try:
            with log.open("ab") as output:
                self._child = subprocess.Popen(  # noqa: S603 - a list, so no shell reads it
                    self.command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **(environment or {})},
                    cwd=directory,
                    user=user,
                    group=_group_of(user),
                    extra_groups=None if user is None else [],
                    start_new_session=True,
                )
        except OSError as error:
            raise ProcessError(f"Cannot run {self.command[0]}: {error.strerror or error}.") from error
        _guardian.watch(self, stop)

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative when a signal ended it."""
        return self._child.poll()

    def wait(self, timeout: float) -> int:
        """Its exit code, once it has ended by itself. Raises ProcessError after ``timeout`` seconds."""
        try:
            return self._child.wait(timeout)
        except subprocess.TimeoutExpired:
            raise ProcessError(self._described(f"did not end within {timeout:g} s")) from None

    def wait_until(self, ready: Callable[[], bool], timeout: float, what: str = "was not ready") -> None:
        """Return when ``ready()``. Raises ProcessError when the child dies, or after ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        while not ready():
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = self._child.wait(_POLL)
                raise ProcessError(self._described(f"ended with code {code} before it was ready"))
            if time.monotonic() > deadline:
                raise ProcessError(self._described(f"{what} within {timeout:g} s"))

    def wait_for_port(self, port: int, timeout: float = 30.0, host: str = "127.0.0.1") -> None:
        """Return when something accepts connections on ``port``."""

        def listening() -> bool:
            try:
                socket.create_connection((host, port), timeout=1).close()
            except OSError:
                return False
            return True

        self.wait_until(listening, timeout, f"did not listen on {host}:{port}")

    def wait_for_http(self, url: str, timeout: float = 30.0) -> None:
        """Return when ``url`` answers with anything below 500."""

        def answering() -> bool:
            try:
                return httpx.get(url, timeout=1, trust_env=False).status_code < 500
            except httpx.TransportError:
                return False

        self.wait_until(answering, timeout, f"did not answer {url}")

    def send(self, number: signal.Signals) -> None:
        """Send ``number`` to the child alone, if it still runs."""
        self._child.send_signal(number)

    def ask_to_end(self) -> None:
        """Send it the signal to stop, and do not wait."""
        self.send(self._stop)

    def terminate(self, timeout: float = 15.0) -> int:
        """Ask it to end, kill what is left of its group after ``timeout`` seconds; its exit code."""
        self.ask_to_end()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(timeout)
        return self.kill()

    def kill(self) -> int:
        """SIGKILL its whole group; its exit code."""
        if not self._ended:  # afterwards the number may be someone else's
            with contextlib.suppress(
                ProcessLookupError, PermissionError
            ):  # macOS: EPERM for a group of zombies
                os.killpg(self.pid, signal.SIGKILL)
            self._child.wait()
            _guardian.forget(self)
            self._ended = True
        return self._child.wait()

    def output(self) -> str:
        """All that it has written so far."""
        return self.log.read_text(errors="replace")

    def _described(self, problem: str) -> str:
        tail = "\n".join(f"  {line}" for line in self.output().splitlines()[-_TAIL_LINES:])
        return f"{' '.join(self.command)} {problem}. Its output is in {self.log}:\n{tail or '  (nothing)'}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.terminate()


def _group_of(user: str | int | None) -> int | None:
    if user is None:
        return None
    import pwd  # noqa: PLC0415 - absent on Windows, where no user is ever given

    return (pwd.getpwnam(user) if isinstance(user, str) else pwd.getpwuid(user)).pw_gid
