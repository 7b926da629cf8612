from dual_write.adapter import Captured
from dual_write.mapping import Column, TableMapping
from dual_write.stream import parents_first, streams
from flags.side import Side

ID = (Column("id", '"id"', "id"),)


def mapping(monolith: str, service: str, *, follow: bool = False) -> TableMapping:
    return TableMapping(monolith, service, ("id",), ("id",), ID, ID, follow)


def test_moved_tables_flow_both_ways_and_following_ones_in_a_stream_of_their_own() -> None:
    following, there, back = streams("p", [mapping("a", "b"), mapping("users", "people", follow=True)])
    assert (following.to, following.follow, following.captured()) == (
        Side.SERVICE,
        True,
        (Captured(following.name, "users", ("id",)),),
    )
    assert [table.table for table in there.captured()] == ["a"]
    assert [table.table for table in back.captured()] == ["b"]
    assert [flow.target for flow in back.flows()] == ["a"]
    assert len({following.name, there.name, back.name}) == 3


def test_a_phase_without_tables_has_no_streams() -> None:
    assert streams("p", []) == ()


def test_parents_come_first_and_cycles_end() -> None:
    references = {"lines": {"orders", "goods"}, "orders": {"users"}, "a": {"b"}, "b": {"a"}}
    ordered = parents_first(["lines", "goods", "orders", "users", "a", "b"], references)
    assert ordered.index("users") < ordered.index("orders") < ordered.index("lines")
    assert ordered.index("goods") < ordered.index("lines")
    assert sorted(ordered) == ["a", "b", "goods", "lines", "orders", "users"]
