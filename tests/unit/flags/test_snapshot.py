from flags.document import gradual
from flags.snapshot import compile_snapshot


def test_an_unknown_flag_is_off_for_everybody() -> None:
    snapshot = compile_snapshot(3, [])
    assert not snapshot.enabled("search.reads", "ann")
    assert snapshot.share("search.reads") == 0
    assert snapshot.revision == 3


def test_flags_are_evaluated_and_shown_by_name() -> None:
    snapshot = compile_snapshot(1, [gradual("a.reads", 10_000), gradual("b.reads", 50)])
    assert snapshot.enabled("a.reads", None)
    assert [snapshot.share(name) for name in ("a.reads", "b.reads")] == [10_000, 50]
