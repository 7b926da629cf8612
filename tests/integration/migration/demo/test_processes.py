"""Children start, are waited for, and never outlive their parent."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from migration.demo.errors import ProcessError
from migration.demo.processes import Process, free_port

SLEEPER = "import time; time.sleep(600)"


def python(source: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", source, *arguments]


def test_a_free_port_can_be_listened_on() -> None:
    with socket.create_server(("127.0.0.1", free_port())) as listener:
        assert listener.getsockname()[1] < 32768


def test_no_two_processes_are_given_the_same_port() -> None:
    asking = (
        "from migration.demo.processes import free_port; input(); print(*(free_port() for _ in range(200)))"
    )
    askers = [
        subprocess.Popen(
            [sys.executable, "-c", asking], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    for asker in askers:
        assert asker.stdin is not None
        asker.stdin.write("\n")
        asker.stdin.flush()
    given = [port for asker in askers for port in asker.communicate()[0].split()]
    assert len(set(given)) == len(given) == 400


def test_a_server_is_ready_when_it_answers(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    with Process(command, tmp_path / "log", directory=tmp_path) as server:
        server.wait_for_port(port)
        server.wait_for_http(f"http://127.0.0.1:{port}/")
        assert server.exit_code is None
    assert server.exit_code == -signal.SIGTERM


def test_a_child_that_dies_early_is_reported_with_its_last_words(tmp_path: Path) -> None:
    with (
        Process(python("raise SystemExit('no such setting: colour')"), tmp_path / "log") as child,
        pytest.raises(
            ProcessError, match=r"ended with code 1 before it was ready(.|\n)*no such setting: colour"
        ),
    ):
        child.wait_for_port(free_port())


def test_a_child_that_is_never_ready_is_reported(tmp_path: Path) -> None:
    with (
        Process(python(SLEEPER), tmp_path / "log") as child,
        pytest.raises(ProcessError, match="was not ready within"),
    ):
        child.wait_until(lambda: False, timeout=0.1)


def test_a_command_that_is_not_there_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ProcessError, match="Cannot run no-such-program: No such file"):
        Process(["no-such-program"], tmp_path / "log")


def test_a_child_that_ignores_the_request_to_end_is_killed(tmp_path: Path) -> None:
    stubborn = (
        "import pathlib, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "pathlib.Path(sys.argv[1]).touch()\n"
        "time.sleep(600)"
    )
    ready = tmp_path / "ready"
    with Process(python(stubborn, str(ready)), tmp_path / "log") as child:
        child.wait_until(ready.exists, timeout=30)
        assert child.terminate(timeout=0.1) == -signal.SIGKILL
        assert child.kill() == -signal.SIGKILL, "ending it again changes nothing"


def test_grandchildren_end_with_their_parent(tmp_path: Path) -> None:
    family = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {SLEEPER!r}])"
    with Process(python(family), tmp_path / "log") as child:
        parent = psutil.Process(child.pid)
        child.wait_until(lambda: bool(parent.children()), timeout=30)
        (grandchild,) = parent.children()
    assert _ended(grandchild)


@pytest.mark.parametrize("way", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_children_end_when_their_parent_is_killed(tmp_path: Path, way: signal.Signals) -> None:
    parent = (
        "import signal, sys, time; from pathlib import Path; from migration.demo.processes import Process\n"
        # What a shell starts in the background ignores it.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"child = Process([sys.executable, '-c', {SLEEPER!r}], Path(sys.argv[1]))\n"
        "print(child.pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen(
        python(parent, str(tmp_path / "log")), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        child = psutil.Process(int(process.stdout.readline()))
        os.kill(process.pid, way)
    assert _ended(child)


def _ended(process: psutil.Process) -> bool:
    """Whether it ends within a generous while; a zombie that nobody reaps has ended too."""
    try:
        process.wait(timeout=30)
    except psutil.TimeoutExpired:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    return True
