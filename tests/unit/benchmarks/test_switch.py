"""A switch's times are those of its journal."""

from benchmarks.switch import Held
from migration.journal import Entry

STARTED = [
    Entry("r", number, name, "started", {}, at)
    for number, name, at in ((3, "hold", 10.0), (4, "guard", 10.2))
]


def test_a_finished_switch_has_the_time_of_every_step() -> None:
    entries = [
        *STARTED,
        Entry("r", 3, "hold", "done", {"revision": 7, "seconds": 0.2}, 10.2),
        Entry("r", 0, "switch", "finished", {"seconds": 0.1}, 10.5),
    ]
    held = Held.journaled(entries)
    assert (held.began, held.ended, held.finished) == (10.0, 10.5, True)
    assert held.steps == {"hold": 0.2, "release": 0.1}


def test_a_cancelled_switch_held_writes_until_it_was_taken_back() -> None:
    held = Held.journaled([*STARTED, Entry("r", 0, "switch", "cancelled", {"reason": "late"}, 10.9)])
    assert (held.began, held.ended, held.finished) == (10.0, 10.9, False)
