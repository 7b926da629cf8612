import pytest

from dual_write.parking import again, reason


def test_each_failure_joins_its_entries_and_waits_longer() -> None:
    first = again("t", "[1]", 7, 2, None, ValueError("no"), now=100.0)
    second = again("t", "[1]", 9, 1, first, ValueError("no"), now=101.0)
    assert (first.entries, first.attempts, second.entries, second.attempts) == (2, 1, 3, 2)
    assert first.due - 100.0 < second.due - 101.0


def test_the_wait_has_a_limit() -> None:
    parked = again("t", "[1]", 1, 1, None, ValueError("no"), now=0.0)
    for _ in range(200):
        parked = again("t", "[1]", 1, 0, parked, ValueError("no"), now=0.0)
    assert parked.due == 60.0


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (
            'duplicate key value violates unique constraint "u"\nDETAIL:  Key (mail)=(a@b.c) already exists.',
            'duplicate key value violates unique constraint "u"',
        ),
        ('invalid input syntax for type integer: "secret"', 'invalid input syntax for type integer: "***"'),
        ("UNIQUE constraint failed: t.mail", "UNIQUE constraint failed: t.mail"),
        ("", "ValueError"),
    ],
)
def test_i9_the_reason_shows_no_values(said: str, shown: str) -> None:
    assert reason(ValueError(said)) == shown
