"""Messages survive their way as bytes, and the reference tells the truth about them."""

import json
import re

import hypothesis.strategies as st
import pytest
from hypothesis import given

from dual_write.errors import SchemaError
from dual_write.kafka_message import (
    SCHEMA,
    Kind,
    Message,
    Origin,
    Watermark,
    decode,
    encode,
    encode_watermark,
    message_key,
)
from tests.acceptance.pages import REPOSITORY, section

REFERENCE = REPOSITORY / "docs" / "reference" / "change-message.md"

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
numbers = st.integers(-(2**63), 2**63 - 1)
values = (
    st.none() | text | numbers | st.floats(allow_nan=False) | st.binary(max_size=20) | st.sampled_from([-0.0])
)
origins = st.builds(Origin, text, text, st.integers(0, 2**40))
messages = st.builds(
    Message,
    origins,
    st.just(Kind.UPSERT),
    text,
    text,
    numbers,
    st.integers(0, 1000),
    st.dictionaries(text, values, max_size=5),
    st.sampled_from(["sqlite", "postgresql"]),
    text,
)
UPSERT = Message(
    Origin("s", "x", 1), Kind.UPSERT, "t", "[1]", 5, 1, {"n": "a"}, "sqlite", "2026-01-01T00:00:00.000Z"
)


@given(messages)
def test_a_message_comes_back_as_it_was(message: Message) -> None:
    decoded = decode(encode(message))
    assert decoded == message
    assert isinstance(decoded, Message)
    assert repr(decoded.row) == repr(message.row)  # 1 is not 1.0, and 0.0 is not -0.0


@given(messages)
def test_any_json_reader_reads_it_exactly(message: Message) -> None:
    """No number in it is beyond what a double holds, and no NaN or Infinity is bare."""

    def plain(digits: str) -> int:
        assert abs(int(digits)) < 2**53
        return int(digits)

    def never(name: str) -> None:
        raise AssertionError(name)

    row = json.loads(encode(message), parse_int=str, parse_constant=never)["row"]
    for value in row.values():
        assert not isinstance(value, float)
    bounded = encode(Message(message.origin, Kind.UPSERT, "t", "[1]", 1, 1, message.row, "sqlite", ""))
    json.loads(bounded, parse_int=plain, parse_constant=never)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (2**53 - 1, 2**53 - 1),
        (2**53, {"integer": "9007199254740992"}),
        (-(2**63), {"integer": "-9223372036854775808"}),
        (0.1, {"real": "0.1"}),
        (-0.0, {"real": "-0.0"}),
        (float("inf"), {"real": "Infinity"}),
        (float("-inf"), {"real": "-Infinity"}),
        (float("nan"), {"real": "NaN"}),
        (b"\x00\xff", {"blob": "00FF"}),
        ("12.50", "12.50"),
        (None, None),
    ],
)
def test_how_a_value_is_written(value: object, written: object) -> None:
    message = Message(UPSERT.origin, Kind.UPSERT, "t", "[1]", 1, 1, {"c": value}, "sqlite", "")
    assert json.loads(encode(message))["row"] == {"c": written}
    decoded = decode(encode(message))
    assert isinstance(decoded, Message)
    assert repr(decoded.row) == repr({"c": value})


@given(origins, numbers, numbers, numbers)
def test_a_watermark_comes_back_as_it_was(origin: Origin, floor: int, xid: int, number: int) -> None:
    mark = Watermark(origin, floor, xid, number, 7, "2026-01-01T00:00:00.000Z")
    assert decode(encode_watermark(mark)) == mark


@given(st.tuples(text, text), st.tuples(text, text))
def test_two_rows_never_share_a_key(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert (message_key(*one) == message_key(*other)) is (one == other)


@given(
    st.none() | st.binary(max_size=40) | st.builds(lambda value: json.dumps(value).encode(), st.integers())
)
def test_what_is_no_message_is_told_from_one(value: bytes | None) -> None:
    assert decode(value) is None


@pytest.mark.parametrize("lacking", list(json.loads(encode(UPSERT))))
def test_a_message_that_lacks_a_field_is_none_of_ours(lacking: str) -> None:
    fields = {name: value for name, value in json.loads(encode(UPSERT)).items() if name != lacking}
    assert decode(json.dumps(fields).encode()) is None


def test_a_newer_message_is_refused() -> None:
    fields = {**json.loads(encode(UPSERT)), "schema": SCHEMA + 1}
    with pytest.raises(SchemaError, match="same version"):
        decode(json.dumps(fields).encode())


@pytest.mark.parametrize("title", ["An upsert", "A delete", "A truncation", "An omitted row", "A watermark"])
def test_the_documented_examples_are_read(title: str) -> None:
    [example] = re.findall(r"```json\n(.*?)```", section(REFERENCE, title), re.DOTALL)
    decoded = decode(example.encode())
    again = encode_watermark(decoded) if isinstance(decoded, Watermark) else encode(decoded)  # type: ignore[arg-type]
    assert json.loads(again) == json.loads(example)


def test_each_field_is_documented() -> None:
    page = REFERENCE.read_text(encoding="utf-8")
    said = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    mark = Watermark(UPSERT.origin, 0, 0, 0, 0, "")
    fields = {*json.loads(encode(UPSERT)), *json.loads(encode_watermark(mark))}
    assert fields <= said
