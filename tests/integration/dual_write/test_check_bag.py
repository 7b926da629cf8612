"""Tables without a key: exactly the rows that one side has more often are found, on every pair of engines."""

from collections import Counter
from contextlib import ExitStack

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from dual_write.check import FULL_SPEED, run_check
from dual_write.check_flow import flow_between
from dual_write.errors import CheckFailed
from tests.integration.dual_write.sides import PAIRS, TYPES, VALUES, database, relaxed

NAMES = tuple(TYPES)
bags = st.lists(
    st.tuples(*(st.none() | VALUES[name] for name in NAMES)).map(
        lambda row: dict(zip(NAMES, row, strict=True))
    ),
    max_size=8,
)


@pytest.fixture(params=PAIRS, ids="-".join)
def engines(request, tmp_path, postgresql_database):
    with ExitStack() as stack:
        yield tuple(
            stack.enter_context(database(kind, tmp_path, postgresql_database)) for kind in request.param
        )


@pytest.fixture
def bag(engines):
    made = sa.Table("event", sa.MetaData(), *(sa.Column(name, kind) for name, kind in TYPES.items()))
    for engine in engines:
        made.create(engine)
    return made


def fill(engine, table, rows):
    with engine.begin() as connection:
        connection.execute(table.delete())
        if rows:
            connection.execute(table.insert(), rows)


def check(engines, **order):
    return run_check(*engines, [flow_between(*engines, "event")], manners=FULL_SPEED, **order)


def test_exactly_what_one_side_has_more_often_is_found(engines, bag):
    @relaxed
    @given(bags, st.data())
    def planted(held, data):
        extra = data.draw(bags)
        kept = data.draw(st.lists(st.sampled_from(held), max_size=len(held))) if held else []
        other = data.draw(st.permutations([*kept, *extra]))
        fill(engines[0], bag, held)
        fill(engines[1], bag, other)
        result = check(engines)
        ours, theirs = Counter(map(repr, held)), Counter(map(repr, other))
        expected = sorted(
            [("missing", count) for count in (ours - theirs).values()]
            + [("extra", count) for count in (theirs - ours).values()]
        )
        found = sorted((each.kind.value, times(each.key[0])) for each in result.findings)
        assert found == expected
        assert result.rows == len(held)
        assert result.clean == (not expected)

    planted()


def times(key):
    _, _, said = key.partition(" ")
    return int(said.removesuffix(" times") or 1)


def test_a_found_row_is_described_and_not_shown(engines, bag):
    fill(engines[0], bag, [{"name": "secret", "number": 7}])
    [finding] = check(engines).findings
    told = {each.column: (each.source, each.target) for each in finding.differences}
    assert told["name"] == ("text of 6 characters", "no such row")
    assert told["number"] == ("integer", "no such row")
    [shown] = check(engines, reveal=True).findings
    assert next(each.source for each in shown.differences if each.column == "name") == "'secret'"


def test_rows_that_were_on_their_way_are_no_findings(engines, bag):
    fill(engines[0], bag, [{"name": "one"}] * 3)

    def arrive():
        fill(engines[1], bag, [{"name": "one"}] * 3)
        return True

    assert check(engines, settle=arrive).clean


def test_what_never_holds_still_is_undecided_and_not_clean(engines, bag):
    fill(engines[0], bag, [{"name": "one"}])

    def move():
        fill(engines[1], bag, [{"name": "two"}])
        return True

    result = check(engines, settle=move)
    assert len(result.findings) == 1
    assert result.undecided == 1
    with pytest.raises(CheckFailed, match="did not catch up"):
        check(engines, settle=lambda: False)


def test_many_blocks_are_read_once_each(engines, bag):
    rows = [{"name": f"name {number % 900}", "raw": bytes(400)} for number in range(9_000)]
    fill(engines[0], bag, rows)
    fill(engines[1], bag, rows[::-1])
    seen = []
    result = check(engines, progress=lambda *told: seen.append(told))
    assert result.clean
    assert result.rows == 9_000
    assert seen[-1][1] == 9_000
