"""The README is true: its commands exist, and a new user who types them gets where it says."""

import os
import re
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import httpx
import pytest
import typer

from migration.cli.app import app
from migration.demo.processes import Process, free_port
from tests.acceptance.pages import PAGES, REPOSITORY, Said, blocks, section, strangler_commands, typed

README = REPOSITORY / "README.md"
TUTORIAL = REPOSITORY / "docs" / "tutorial" / "first-phase.md"
COMMANDS = list(strangler_commands())

# What the README says of an application on ports 8000 and 8001, said of one on ports that are free here.
_EDITOR = """\
import os, pathlib, sys
plan = pathlib.Path(sys.argv[1])
text = plan.read_text()
for number, port in enumerate(os.environ["PORTS"].split()):
    text = text.replace(f'"127.0.0.1:{8080 + number}"', f'"127.0.0.1:{port}"')
text = text.replace('url = "http://127.0.0.1:8001"', f'url = "http://127.0.0.1:{os.environ["SERVICE"]}"')
plan.write_text(text.replace("sqlite:///items.db", "sqlite:///service.db"))
"""


class Visitor(threading.Thread):
    """A client of the shop: adds items and reads them back, until told to leave."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.kept: dict[int, str] = {}
        self.failures: list[str] = []
        self._leaving = threading.Event()
        self._client = httpx.Client(base_url=url, trust_env=False, timeout=30)

    def run(self) -> None:
        with self._client:
            while not self._leaving.wait(0.05):
                name = f"item {len(self.kept)}"
                made = self._ask("POST", "/items", json={"name": name, "price": 1.5})
                if made.is_success:
                    self.kept[made.json()["id"]] = name
                    self._ask("GET", f"/items/{made.json()['id']}")

    def read(self, times: int) -> None:
        """Read what every shop has."""
        for _ in range(times):
            self._ask("GET", "/items/1")

    def leave(self) -> None:
        self._leaving.set()
        self.join()

    def _ask(self, method: str, path: str, **given: object) -> httpx.Response:
        answer = self._client.request(method, path, **given)  # type: ignore[arg-type]  # passed on as it is
        if not answer.is_success:
            self.failures.append(f"{method} {path}: {answer.status_code} {answer.text[:100]}")
        return answer


class Newcomer:
    """Somebody in an empty directory, who types what the README says into a shell."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        self.directory = directory
        self._stack = stack
        (directory / "shop.py").write_text(blocks(TUTORIAL, "python")[0], encoding="utf-8")
        (directory / "edit.py").write_text(_EDITOR, encoding="utf-8")
        self.monolith = self._shop("app.db")
        self.service = self._shop("service.db")
        self.facade, admin = free_port(), free_port()
        self.visitor = Visitor(f"http://127.0.0.1:{self.facade}")
        self._environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "EDITOR": f"{sys.executable} edit.py",
            "PORTS": f"{self.facade} {admin}",
            "SERVICE": str(self.service),
        }

    def _shop(self, database: str) -> int:
        port = free_port()
        command = (sys.executable, "-m", "uvicorn", "shop:app", "--port", str(port))
        process = self._stack.enter_context(
            Process(
                command,
                self.directory / f"{database}.log",
                environment={"DATABASE": database},
                directory=self.directory,
            )
        )
        process.wait_for_port(port)
        return port

    def type(self, line: str) -> None:
        """Type a line; one that ends with & goes on while the next are typed."""
        line = line.replace("127.0.0.1:8000", f"127.0.0.1:{self.monolith}")
        if line.endswith("&"):
            self._start(line.removesuffix("&").strip())
            return
        while (done := self._run(line)).returncode == 1 and "  shadow: " in done.stderr:
            self.visitor.read(60)  # what the gate asks for: more traffic
        assert done.returncode == 0, f"{line}: {done.returncode}\n{done.stdout}\n{done.stderr}"

    def _run(self, line: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            line,
            shell=True,
            cwd=self.directory,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def _start(self, line: str) -> None:
        process = self._stack.enter_context(
            Process(
                ["sh", "-c", f"exec {line}"],
                self.directory / f"{line.replace(' ', '-')}.log",
                environment=self._environment,
                directory=self.directory,
            )
        )
        if "serve" in line:
            process.wait_for_port(self.facade)
            self.visitor.start()
            self._stack.callback(self.visitor.leave)

    def rows(self, database: str) -> dict[int, str]:
        with closing(sqlite3.connect(self.directory / database)) as connection:
            return dict(connection.execute("SELECT id, name FROM items").fetchall())

    def objects(self, database: str) -> set[str]:
        """The names of all tables, indexes and triggers."""
        with closing(sqlite3.connect(self.directory / database)) as connection:
            return {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}


@pytest.fixture
def newcomer(tmp_path: Path) -> Iterator[Newcomer]:
    with ExitStack() as stack:
        yield Newcomer(tmp_path, stack)


@pytest.mark.timeout(300)
def test_the_readme_leads_from_a_plan_to_a_ramp_and_back(newcomer: Newcomer) -> None:
    """All under traffic: no request fails, and what was acknowledged is on both sides in the end."""
    before = newcomer.objects("app.db")
    (said,) = [block for block in blocks(README, "console") if "strangler init" in block]
    assert said in section(README, "On your own monolith")
    lines = typed(said)
    assert lines[0] == "pip install ."  # which whoever runs this test has done
    for line in lines[1:]:
        newcomer.type(line)
    assert newcomer.visitor.failures == []

    newcomer.type("strangler status")
    for _ in ("ramp → shadow", "shadow → dual_write", "dual_write → off"):
        newcomer.type("strangler rollback items")
    newcomer.visitor.leave()
    assert newcomer.visitor.failures == []
    assert newcomer.visitor.kept
    assert newcomer.visitor.kept.items() <= newcomer.rows("app.db").items()
    assert newcomer.objects("app.db") == before


@pytest.mark.parametrize("said", COMMANDS, ids=str)
def test_every_command_on_a_page_exists(said: Said) -> None:
    command = typer.main.get_command(app)
    words = list(said.words)
    while words and (inner := getattr(command, "commands", {})):
        assert words[0].startswith("-") or words[0] in inner, f"{said}: there is no command {words[0]!r}"
        if words[0].startswith("-"):
            break
        command = inner[words.pop(0)]
    known = {name for each in command.params for name in (*each.opts, *each.secondary_opts)} | {
        "-h",
        "--help",
    }
    wrong = [word for word in words if word.startswith("-") and word.strip("[]") not in known]
    assert not wrong, f"{said}: there is no option {wrong}"
    if said.typed:
        with command.make_context("strangler", words):
            """It parses: nothing required is missing, and nothing is too much."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_every_link_to_a_file_is_good(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}, which is not there"
