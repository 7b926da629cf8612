"""Makes docs/runbooks/: each runbook that comes with the toolkit, printed for a phase that has not begun.

python -m tests.acceptance.printed_runbooks
"""

import sqlite3
import tempfile
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from migration.runbook import TEMPLATES, load, templates
from migration.runbook_page import page
from migration.wiring import Wiring
from tests.acceptance.pages import REPOSITORY

DIRECTORY = REPOSITORY / "docs" / "runbooks"
_PLAN = """
[monolith]
url = "http://monolith:8000"
database = "sqlite:///monolith.db"
[[phases]]
name = "orders"
routing_key = "jwt:sub"
routes = ["GET /orders", "POST /orders"]
runbook = "{template}"
[phases.service]
url = "http://orders:8001"
database = "sqlite:///orders.db"
[[phases.tables]]
monolith = "orders"
"""


def printed() -> Mapping[str, str]:
    """The text of each page by its file's name, and of the page that lists them."""
    pages = {f"{name}.md": _printed(name) for name in templates()}
    lines = [
        "# Runbooks",
        "",
        "One for each usual kind of phase, as `strangler runbook orders` prints it before anything was done:",
        "",
    ]
    for name in templates():
        runbook = load(TEMPLATES / f"{name}.toml")
        lines.append(f'- [{runbook.title}]({name}.md): `runbook = "{name}"`')
    lines += ["", "[How to walk one, and how to make it your own](../how-to/run-a-runbook.md)."]
    return {**pages, "README.md": "\n".join(lines) + "\n"}


def _printed(template: str) -> str:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        for file in ("monolith.db", "orders.db"):
            _create(directory / file)
        (directory / "strangler.toml").write_text(_PLAN.format(template=template))
        wiring = Wiring.load(directory / "strangler.toml")
        try:
            return page(wiring, "orders")[0].rstrip("\n") + "\n"
        finally:
            wiring.close()


def _create(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE orders (id TEXT PRIMARY KEY, item TEXT NOT NULL)")


if __name__ == "__main__":
    DIRECTORY.mkdir(exist_ok=True)
    for name, text in printed().items():
        (DIRECTORY / name).write_text(text, encoding="utf-8")
