import pytest

from dual_write.errors import MappingError
from dual_write.mapping import Column, TableMapping
from flags.side import Side

FORWARD = (Column("qid", '"id"', "id"), Column("label", "lower(name)", None))
BACKWARD = (Column("id", '"qid"', "qid"), Column("name", '"label"', "label"))


def test_towards_each_side() -> None:
    mapping = TableMapping("saved", "queries", ("id",), ("qid",), FORWARD, BACKWARD)
    there, back = mapping.towards(Side.SERVICE), mapping.towards(Side.MONOLITH)
    assert (there.source, there.target, there.source_key, there.target_key) == (
        "saved",
        "queries",
        ("id",),
        ("qid",),
    )
    assert (back.source, back.target, back.source_key, back.target_key) == (
        "queries",
        "saved",
        ("qid",),
        ("id",),
    )
    assert (there.columns, back.columns) == (FORWARD, BACKWARD)


def test_what_cannot_run_backwards_says_what_to_do() -> None:
    with pytest.raises(MappingError, match="`reverse`"):
        TableMapping("saved", "queries", ("id",), ("qid",), FORWARD, None).towards(Side.MONOLITH)


def test_a_following_table_never_runs_backwards() -> None:
    with pytest.raises(MappingError, match="only follows"):
        TableMapping("saved", "queries", ("id",), ("qid",), FORWARD, BACKWARD, follow=True).towards(
            Side.MONOLITH
        )
