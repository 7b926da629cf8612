"""Exactly the planted differences are found, on every pair of engines."""

from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.integration.dual_write.sides import (
    KEYS,
    PAIRS,
    VALUES,
    database,
    flow,
    key_names,
    refill,
    rows,
    table,
)

from dual_write.check import recheck_keys, run_check

relaxed = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)


@pytest.fixture(params=PAIRS, ids="-".join)
def engines(request, tmp_path, postgresql_database):
    with ExitStack() as stack:
        yield tuple(
            stack.enter_context(database(kind, tmp_path, postgresql_database)) for kind in request.param
        )


@pytest.mark.parametrize("key", KEYS)
def test_exactly_the_planted_differences_are_found(engines, key):
    source, target = engines
    made = table("item", key)
    for engine in engines:
        made.create(engine)
    names = key_names(made)

    @relaxed
    @given(st.data())
    def planted(data):
        held = data.draw(rows(key))
        other = [dict(row) for row in held]
        expected = {}
        for row in list(other):
            match data.draw(st.sampled_from(["same", "same", "missing", "extra", "different"])):
                case "missing":
                    other.remove(row)
                    expected[identity(row)] = ("missing", None)
                case "extra":
                    held.remove(next(one for one in held if identity(one) == identity(row)))
                    expected[identity(row)] = ("extra", None)
                case "different":
                    column = data.draw(st.sampled_from(list(VALUES)))
                    changed = data.draw(
                        (st.none() | VALUES[column]).filter(
                            lambda value, row=row, column=column: value != row[column]
                        )
                    )
                    row[column] = changed
                    expected[identity(row)] = ("different", (column,))
        refill(source, made, held)
        refill(target, made, other)
        result = run_check(
            source, target, [flow(made)], chunk_rows=data.draw(st.sampled_from([1, 2, 5, 100]))
        )
        found = {finding.key: (finding.kind.value, finding.columns or None) for finding in result.findings}
        assert len(found) == len(result.findings)
        assert sorted(found.values(), key=repr) == sorted(expected.values(), key=repr)
        assert result.rows == len(held)
        assert result.clean == (not expected)

    def identity(row):
        return tuple(row[name] for name in names)

    planted()
