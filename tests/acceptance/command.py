"""The command line as an operator uses it: a process for each command."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).parents[2]
SECONDS = 120


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended."""

    command: str
    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """What it printed as JSON."""
        return json.loads(self.out)

    def __str__(self) -> str:
        return f"{self.command} exited {self.code}\n{self.out}\n{self.err}"


class Strangler:
    """Runs ``strangler`` on one plan."""

    def __init__(self, plan: Path) -> None:
        self._plan = plan

    def __call__(self, *arguments: str) -> Any:
        """The document of a command, which must succeed."""
        outcome = self.attempt(*arguments, "--json")
        assert outcome.code == 0, outcome
        return outcome.document

    def text(self, *arguments: str) -> str:
        """What a command prints for people; it must succeed."""
        outcome = self.attempt(*arguments)
        assert outcome.code == 0, outcome
        return outcome.out

    def attempt(self, *arguments: str) -> Outcome:
        """Run a command, whatever comes of it."""
        command = [sys.executable, "-m", "migration.cli", *arguments, "--plan", str(self._plan)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
        return Outcome(f"strangler {' '.join(arguments)}", done.returncode, done.stdout, done.stderr)
