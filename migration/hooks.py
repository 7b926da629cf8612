"""The plan's own gates: commands and web hooks, asked before a step or told after a stage is reached.

A command is run as a list of words, without a shell unless the plan says so, in the plan's directory, with
the environment of this process but for the toolkit's own settings, which may hold secrets.
"""

import contextlib
import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from sqlalchemy import select

from facade.redact import redact_text
from migration.control import Control, upsert
from migration.errors import MigrationError
from migration.gate_facts import GateVerdict, Step, Verdict
from migration.plan import Phase, Plan
from migration.plan_gates import Hook
from migration.plan_secrets import token_of
from migration.plan_source import ENVIRONMENT_PREFIX
from migration.schema.tables import hook_results

TRY_LATER = 75
"""The exit code (EX_TEMPFAIL of sysexits.h) of a command that cannot tell yet."""
_LATER = frozenset({408, 425, 429, 502, 503, 504})
"""Statuses of a web hook that cannot tell yet."""
_READ = 4096


class Hooks:
    """The plan's hooks, run on behalf of ``actor``; what they said last is kept for `strangler status`."""

    def __init__(self, plan: Plan, control: Control, actor: str) -> None:
        self._plan = plan
        self._control = control
        self._actor = actor

    def ask(self, phase: Phase, step: Step) -> list[GateVerdict]:
        """Run those before a step, one after the other."""
        return [self._run(phase, hook, step) for hook in phase.gates.hooks if hook.before == step.to]

    def tell(self, phase: Phase, step: Step) -> list[GateVerdict]:
        """Run those after a stage that was reached; what they say changes nothing any more."""
        return [self._run(phase, hook, step) for hook in phase.gates.hooks if hook.after == step.to]

    def last(self, phase: Phase, step: Step) -> list[GateVerdict]:
        """What those before a step said last, without running any."""
        with self._control.read() as connection:
            now = self._control.now(connection)
            rows = connection.execute(select(hook_results).where(hook_results.c.phase == phase.name))
            said = {row.hook: row for row in rows if row.step == str(step) and row.plan == self._plan.hash}
        found = []
        for hook in phase.gates.hooks:
            if hook.before != step.to:
                continue
            row = said.get(hook.name)
            if row is None:
                reason, verdict = "it is asked when the step is taken.", Verdict.INCONCLUSIVE
                found.append(GateVerdict(_gate(hook), verdict, reason, "Take the step."))
            else:
                reason = f"{row.reason} That was {now - row.at:.0f} s ago, and it is asked again."
                remedy = "" if row.verdict == Verdict.PASS else "Take the step to ask it again."
                found.append(GateVerdict(_gate(hook), Verdict(row.verdict), reason, remedy))
        return found

    def _run(self, phase: Phase, hook: Hook, step: Step) -> GateVerdict:
        context = {
            "phase": phase.name,
            "step": str(step),
            "hook": hook.name,
            "actor": self._actor,
            "plan_hash": self._plan.hash,
        }
        verdict, said = (
            _request(hook, self._plan.directory, context)
            if hook.url is not None
            else _execute(hook, self._plan.file, context)
        )
        reason = f"{said}."
        with self._control.write() as connection:
            values = {
                "phase": phase.name,
                "hook": hook.name,
                "step": str(step),
                "plan": self._plan.hash,
                "verdict": verdict.value,
                "reason": reason,
                "at": self._control.now(connection),
            }
            upsert(connection, hook_results, values, key=("phase", "hook"))
        remedy = "" if verdict is Verdict.PASS else "See what it wants, and take the step again."
        return GateVerdict(_gate(hook), verdict, reason, remedy)


def _gate(hook: Hook) -> str:
    return f"hook {hook.name}"


def _execute(hook: Hook, plan: Path, context: Mapping[str, str]) -> tuple[Verdict, str]:
    command: Sequence[str] | str = hook.shell if hook.shell is not None else hook.command or ()
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(ENVIRONMENT_PREFIX)}
    told = {f"{ENVIRONMENT_PREFIX}{name.upper()}": value for name, value in context.items()}
    with tempfile.TemporaryFile() as output:  # a hook that talks without end fills no memory
        try:
            process = subprocess.Popen(  # noqa: S603 - what the plan says is run; a shell only where it says so
                command,
                shell=hook.shell is not None,
                cwd=plan.parent,
                env={**inherited, **told, "STRANGLER_PLAN": str(plan)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            return Verdict.INCONCLUSIVE, f"it cannot be started: {error.strerror}"
        try:
            code = process.wait(hook.timeout)
        except subprocess.TimeoutExpired:
            return Verdict.INCONCLUSIVE, f"it was not done within {hook.timeout:g} s"
        finally:
            with contextlib.suppress(ProcessLookupError):  # and whatever it has started
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        output.seek(0)
        said = f"exit code {code}{_first_line(output.read(_READ))}"
    return {0: Verdict.PASS, TRY_LATER: Verdict.INCONCLUSIVE}.get(code, Verdict.FAIL), said


def _request(hook: Hook, directory: Path, context: Mapping[str, str]) -> tuple[Verdict, str]:
    import httpx  # noqa: PLC0415 - slow to import, and few plans need it

    assert hook.url is not None  # noqa: S101 - asked before
    try:
        headers = (
            {}
            if hook.token_file is None
            else {"Authorization": f"Bearer {token_of(directory / hook.token_file)}"}
        )
        with httpx.stream(
            "POST",
            hook.url,
            json=dict(context),
            headers=headers,
            timeout=hook.timeout,
            follow_redirects=False,
        ) as answer:
            body = next(answer.iter_bytes(_READ), b"")
            status = answer.status_code
    except MigrationError as error:
        return Verdict.INCONCLUSIVE, str(error).removesuffix(".")
    except httpx.TimeoutException:
        return Verdict.INCONCLUSIVE, f"it did not answer within {hook.timeout:g} s"
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return Verdict.INCONCLUSIVE, f"it cannot be asked: {redact_text(str(error))}"
    verdict = Verdict.PASS if 200 <= status < 300 else Verdict.FAIL
    return Verdict.INCONCLUSIVE if status in _LATER else verdict, f"status {status}{_first_line(body)}"


def _first_line(output: bytes) -> str:
    line = next((line for line in output.decode(errors="replace").splitlines() if line.strip()), "")
    shown = "".join(each if each.isprintable() else " " for each in line).strip()
    return f": {redact_text(shown)[:200]}".rstrip(".") if shown else ""
