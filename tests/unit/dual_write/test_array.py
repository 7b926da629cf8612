"""Array literals are quoted in one go: PostgreSQL's rules, or the driver's for what does not allow for it."""

import pytest

from dual_write.postgresql_session import array


@pytest.mark.parametrize(
    ("column", "literal"),
    [
        (("a", "b"), '{"a","b"}'),
        (("",), '{""}'),
        (("NULL", None), '{"NULL",NULL}'),
        ((None, None), "{NULL,NULL}"),
        (('{"a": "b\\n"}', "c,d"), '{"{\\"a\\": \\"b\\\\n\\"}","c,d"}'),
        (('","', "\\"), '{"\\",\\"","\\\\"}'),
    ],
)
def test_text_is_quoted(column: tuple[str | None, ...], literal: str) -> None:
    assert array(column) == literal


@pytest.mark.parametrize("column", [("a\x1fb", "c"), ("a\x1eb",), ("\x1e", None), (1, 2), (b"\x00", None)])
def test_what_does_not_allow_for_it_is_left_to_the_driver(column: tuple[object, ...]) -> None:
    assert array(column) == list(column)
