"""Which repair of a table waits for which."""

from dual_write.repair_order import Change, Ties, groups

SLUG = Ties(unique=[("slug",)])
FAMILY = Ties(references=[(("elder",), ("id",))])


def update(key: int, old: str | None, new: str | None) -> Change:
    return Change((key,), {"id": key, "slug": old}, {"slug": new})


def keys(changes: list[Change], ties: Ties) -> list[list[object]]:
    return [[change.key[0] for change in group] for group in groups(changes, ties)]


def test_rows_that_have_nothing_to_do_with_each_other_keep_their_order() -> None:
    assert keys([update(3, "a", "b"), update(1, "c", "d"), update(2, "e", "f")], SLUG) == [[3], [1], [2]]


def test_a_value_is_let_go_of_before_it_is_taken() -> None:
    assert keys([update(1, "a", "b"), update(2, "b", "c"), update(3, "c", "d")], SLUG) == [[3], [2], [1]]


def test_a_value_of_a_row_that_goes_is_free_behind_it() -> None:
    assert keys([update(1, "a", "b"), Change((2,), {"id": 2, "slug": "b"}, None)], SLUG) == [[2], [1]]


def test_rows_in_a_circle_are_one_group_and_others_are_not() -> None:
    circle = [update(1, "a", "b"), update(9, "x", "a"), update(2, "b", "c"), update(3, "c", "a")]
    assert keys(circle, SLUG) in ([[1, 2, 3], [9]], [[9], [1, 2, 3]])


def test_null_is_taken_from_nobody() -> None:
    assert keys([update(1, "a", None), update(2, None, "b")], SLUG) == [[1], [2]]


def test_elders_come_first_and_go_last() -> None:
    added = [Change((1,), None, {"id": 1, "elder": 2}), Change((2,), None, {"id": 2, "elder": None})]
    assert keys(added, FAMILY) == [[2], [1]]
    removed = [Change((2,), {"id": 2, "elder": None}, None), Change((1,), {"id": 1, "elder": 2}, None)]
    assert keys(removed, FAMILY) == [[1], [2]]


def test_a_long_chain_needs_no_deep_stack() -> None:
    chain = [update(number, str(number), str(number + 1)) for number in range(5_000)]
    assert keys(chain, SLUG) == [[number] for number in reversed(range(5_000))]
