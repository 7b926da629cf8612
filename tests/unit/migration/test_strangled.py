from migration.strangled import sparkline
from migration.traffic import Slot


def test_a_bar_is_as_high_as_the_share_of_the_services() -> None:
    slots = [Slot(0, 0, 0), Slot(60, 10, 0), Slot(120, 10, 5), Slot(180, 10, 10)]
    assert sparkline(slots) == " ▁▅█"
