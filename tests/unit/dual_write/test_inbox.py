import pytest

from dual_write.adapter import Position
from dual_write.errors import FencedError
from dual_write.inbox import CLOSED, Inbox, closed, opened, require_open, require_unchanged


def test_epochs_only_grow() -> None:
    inbox = opened(CLOSED, 3, "p>service")
    assert (inbox.open, inbox.epoch) == (True, 3)
    assert opened(inbox, 3, "p>service") == inbox
    with pytest.raises(FencedError, match="epoch 2 is over"):
        opened(inbox, 2, "p>service")
    with pytest.raises(FencedError, match="epoch 2 is over"):
        closed(inbox, 2, "p>service")


def test_closing_keeps_the_epoch_so_that_a_cancelled_switch_can_open_again() -> None:
    inbox = closed(opened(CLOSED, 3, "p>service"), 4, "p>service")
    assert (inbox.open, inbox.epoch) == (False, 3)
    assert opened(inbox, 3, "p>service").open


def test_a_batch_is_dropped_when_its_direction_changed() -> None:
    seen = Inbox(open=True, epoch=3, position=Position(), passed=0)
    require_unchanged(seen, seen, "p>service")
    with pytest.raises(FencedError, match="closed"):
        require_unchanged(seen, closed(seen, 3, "p>service"), "p>service")
    with pytest.raises(FencedError, match="moved on to epoch 4"):
        require_unchanged(seen, opened(seen, 4, "p>service"), "p>service")
    with pytest.raises(FencedError, match="strangler status"):
        require_open(CLOSED, "p>service")
