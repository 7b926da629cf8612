"""Steps that are commands of the team's own: run without a shell, and never twice at the same time."""

import fcntl
import os
import shlex
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from migration.errors import MigrationError, WalkStopped
from migration.runbook_steps import Run
from migration.walk_desk import Act, Answer
from migration.walk_states import Event

_LOOK_AGAIN_SECONDS = 0.1
_NOT_THERE = 1


class RunAct(Act):
    """``do``, ``verify`` and ``undo`` as commands.

    A command outlives a run that is killed. While one is at work it has a file locked that it inherited, and
    the next run on this host waits for that. Nothing is known of commands on another host.
    """

    step: Run

    def precheck(self) -> Answer:
        answer = self.verify()
        if answer.event is not Event.ABSENT:
            return answer if answer.event is Event.HOLDS else Answer(Event.REFUSED, answer.text)
        if self.step.precheck is not None and (code := self._run(self.step.precheck)) != 0:
            return Answer(Event.REFUSED, f"`{self._said(self.step.precheck)}` exited with {code}")
        return Answer(Event.READY, detail={"host": os.uname().nodename})

    def do(self) -> None:
        self._succeed(self.step.do)

    def verify(self) -> Answer:
        _, detail = self.began()
        if (host := detail.get("host", os.uname().nodename)) != os.uname().nodename:
            return Answer(Event.UNCLEAR, f"it was begun on {host}, where it may still be at work")
        code = self._run(self.step.verify)
        said = f"`{self._said(self.step.verify)}` exited with {code}"
        if code == 0:
            return Answer(Event.HOLDS)
        return Answer(Event.ABSENT if code == _NOT_THERE else Event.UNCLEAR, said)

    def undo(self) -> None:
        self._succeed(self.step.undo)

    def _succeed(self, words: Sequence[str]) -> None:
        if (code := self._run(words)) != 0:
            raise WalkStopped(f"`{self._said(words)}` exited with {code}")

    def _run(self, words: Sequence[str]) -> int:
        """The exit code. What the command prints is the operator's to see, and is kept nowhere."""
        filled = [self.fill(word) for word in words]
        with self._alone() as lock:
            try:
                done = subprocess.run(  # noqa: S603 - the runbook's own words, without a shell
                    filled,
                    cwd=self.desk.wiring.plan.directory,
                    stdin=subprocess.DEVNULL,
                    stdout=2,
                    pass_fds=(lock,),
                    timeout=self.step.timeout,
                    check=False,
                )
            except subprocess.TimeoutExpired as error:
                raise WalkStopped(
                    f"`{self._said(words)}` was ended after {self.step.timeout:g} s. "
                    f"Allow it more with `timeout` in step {self.step.name!r} of the runbook."
                ) from error
            except OSError as error:
                raise MigrationError(
                    f"`{self._said(words)}` cannot be run: {error.strerror}. "
                    f"Correct step {self.step.name!r} of the runbook."
                ) from error
        return done.returncode

    def _said(self, words: Sequence[str]) -> str:
        return shlex.join(self.fill(word) for word in words)

    @contextmanager
    def _alone(self) -> Iterator[int]:
        file = self.desk.wiring.state_directory / f"runbook-{self.phase}.lock"
        deadline = time.monotonic() + self.desk.patience
        with Path.open(file, "w") as opened:
            while True:
                try:
                    fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError as error:
                    if time.monotonic() > deadline:
                        raise WalkStopped(
                            f"a command that an earlier run of the runbook of {self.phase!r} began is still "
                            f"at work (`fuser {file}` names it). Wait for it to end, or end it"
                        ) from error
                    time.sleep(_LOOK_AGAIN_SECONDS)
            yield opened.fileno()
            # What it left running does not count; but if it was cut short, it may itself go on.
            fcntl.flock(opened, fcntl.LOCK_UN)
