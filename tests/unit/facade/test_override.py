from facade.override import Overrides, issue
from flags.side import Side

SECRET = "s" * 32


def test_a_token_forces_its_side_for_its_phase_until_it_expires() -> None:
    overrides = Overrides(SECRET)
    token = issue(SECRET, Side.SERVICE, "search", 60).encode()
    assert overrides.side(token, "search") is Side.SERVICE
    assert overrides.side(token, "orders") is None
    assert overrides.valid(token)
    everywhere = issue(SECRET, Side.MONOLITH, None, 60).encode()
    assert overrides.side(everywhere, "orders") is Side.MONOLITH
    expired = issue(SECRET, Side.SERVICE, "search", -1).encode()
    assert not overrides.valid(expired)
    assert overrides.side(expired, "search") is None


def test_nothing_else_does() -> None:
    overrides = Overrides(SECRET)
    for token in (b"", b"service", b"a.b.c", issue("t" * 32, Side.SERVICE, None, 60).encode()):
        assert not overrides.valid(token)
        assert overrides.side(token, "search") is None
