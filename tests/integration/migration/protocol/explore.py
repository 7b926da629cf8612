"""Many orders of acts, one for each seed."""

import hashlib
import logging
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from migration.plan import Plan
from tests.integration.migration.protocol.clients import InvariantError
from tests.integration.migration.protocol.control import ModelControl
from tests.integration.migration.protocol.model import Model
from tests.integration.migration.protocol.remembering import remembering


@contextmanager
def modelled(control: ModelControl) -> Iterator[None]:
    """Let the code under test take its time from the model, and let no thread of its own interfere."""

    class Clock:
        def __getattr__(self, name: str) -> object:
            return getattr(control.schedule, name)

    class Still:
        """A lease's heart: leases run out when the model lets them."""

        def __init__(self, **_: object) -> None: ...
        def start(self) -> None: ...
        def join(self) -> None: ...

    modules = ("migration.switch", "migration.workers", "migration.procedure", "dual_write.relay", "tenacity")
    with ExitStack() as stack:
        for module in (*modules, "tenacity.nap"):
            stack.enter_context(patch(f"{module}.time", Clock()))
        for name, stand_in in remembering(control).items():
            stack.enter_context(patch(name, stand_in))
        control.memory.forget()
        still = SimpleNamespace(Thread=Still, Event=threading.Event)
        stack.enter_context(patch("migration.lease.threading", still))
        logging.disable(logging.WARNING)  # of every death that the reconciler mends
        stack.callback(logging.disable, logging.NOTSET)
        yield


@dataclass(slots=True)
class Explored:
    """Different orders of acts (their digests), how many acts that were, and how each fault ended."""

    interleavings: set[bytes]
    acts: int
    ends: "Counter[tuple[str, str]]"


def explore(control: ModelControl, plan: Plan, seeds: Iterable[int], **options: Any) -> Explored:
    """Run one order of acts for each seed. Raises InvariantError, naming the seed and telling the story."""
    explored = Explored(set(), 0, Counter())
    with modelled(control):
        for seed in seeds:
            model = Model(control, plan, seed, **options)
            try:
                model.run()
            except AssertionError as error:
                story = "\n".join(model.trace[-120:])
                raise InvariantError(
                    f"seed {seed} ({model.fault}, to the {model.to}): {error}\n{story}"
                ) from error
            explored.interleavings.add(hashlib.sha256("\n".join(model.trace).encode()).digest()[:12])
            explored.acts += len(model.trace)
            explored.ends[model.fault, model.end] += 1
    return explored
