import tomllib
from typing import Any

import pytest

from migration.plan_lines import Place, key_lines, line_of

TEXT = '''\
# a comment with = and [brackets]
title = "quoted # and ] \\" text"
"odd key".'other one' = 1

[ monolith ]          # trailing
url = 'x'
text = """
[not.a.table]
a = 1 ""quoted""
"""
raw = \'\'\'
b = 2\'\'\'
[[phases]]
name = ""
routes = [
  "GET /a",   # first
  { method = "POST", path = "/a", kind = "write" },

  "PUT /a",
]
[phases.service]
url = "y"
[[phases.tables]]
monolith = "t"
columns = { a = "b", c = { sql = "lower(a), 'x'" } }
[[phases.tables]]
monolith = "u"
[[ phases ]]
name = "b"
gates.max_lag = 1.5
when = 2024-01-01T00:00:00Z
[[phases.tables]]
monolith = "v"
'''


def places(value: Any, place: Place = ()) -> list[Place]:
    children: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        children = list(value.items())
    elif isinstance(value, list):
        children = list(enumerate(value))
    return [each for key, item in children for each in [(*place, key), *places(item, (*place, key))]]


def test_every_value_that_toml_holds_has_a_line() -> None:
    assert set(key_lines(TEXT)) == set(places(tomllib.loads(TEXT)))


@pytest.mark.parametrize(
    ("place", "text"),
    [
        (("title",), "title ="),
        (("odd key", "other one"), '"odd key"'),
        (("monolith", "raw"), "raw ="),
        (("phases",), "[[phases]]"),
        (("phases", 0, "routes", 0), '"GET /a"'),
        (("phases", 0, "routes", 1, "kind"), '{ method = "POST"'),
        (("phases", 0, "routes", 2), '"PUT /a"'),
        (("phases", 0, "service", "url"), 'url = "y"'),
        (("phases", 0, "tables", 0, "columns", "c", "sql"), "columns ="),
        (("phases", 0, "tables", 1, "monolith"), 'monolith = "u"'),
        (("phases", 1, "gates", "max_lag"), "gates.max_lag"),
        (("phases", 1, "tables", 0, "monolith"), 'monolith = "v"'),
    ],
)
def test_a_value_is_on_the_line_where_it_is_written(place: Place, text: str) -> None:
    assert text in TEXT.splitlines()[key_lines(TEXT)[place] - 1]


def test_what_is_missing_is_looked_for_around_its_place() -> None:
    lines = {("phases",): 3, ("phases", 0): 5}
    assert line_of(("phases", 0, "service", "url"), lines) == 5
    assert line_of(("control", "database"), lines) is None
