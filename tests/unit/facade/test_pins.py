from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from facade.pins import PLACES, Pins


def test_workers_of_a_host_share_who_wrote(tmp_path: Path) -> None:
    one, two = Pins(str(tmp_path / "pins")), Pins(str(tmp_path / "pins"))
    assert two.last("search", "anna") == 0.0
    one.wrote("search", "anna", 12.5)
    assert two.last("search", "anna") == 12.5
    assert Pins(str(tmp_path / "pins")).last("search", "anna") == 12.5
    assert two.last("orders", "anna") == 0.0
    assert Pins().last("search", "anna") == 0.0
    assert (tmp_path / "pins").stat().st_size == 8 + 8 * PLACES
    assert [file.name for file in tmp_path.iterdir()] == ["pins"]


@given(st.lists(st.tuples(st.text(), st.floats(1, 1e9))))
def test_nobody_is_taken_for_one_who_wrote_earlier_than_he_did(writes: list[tuple[str, float]]) -> None:
    pins = Pins()
    for key, at in writes:
        pins.wrote("p", key, at)
    assert all(pins.last("p", key) >= at for key, at in writes)
