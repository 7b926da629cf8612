"""JSON documents compared by path and by kind of difference.

- Members are compared by name, whatever their order. A name given more than once in an object is compared
  with all its values; the two sides repeating it a different number of times is a ``length`` difference.
- Items of a list keep their order. They are aligned first (`facade.compare_align`), so that one inserted item
  is one ``extra`` and not a difference in everything after it. Paths carry the primary's index, or the
  shadow's for an ``extra`` item.
- Numbers are exact at any size. Of two numbers of different value the kind is ``value``; ``1`` and ``1.0``
  have one value but are of two kinds to typed clients, which is a ``type`` difference; so are ``1`` and
  ``1.1`` where a rule excuses the value. ``1.0``, ``1.00`` and ``1e0`` are the same. ``true`` is not ``1``.
- Texts are compared code point by code point.
- Rules (`facade.compare_rules`) excuse what they say, each counted whenever it did. A tolerance or a shape
  excuses another value only, never a missing or an extra one, and never another type: ``number_form`` alone
  does that.
- ``missing`` means that the shadow lacks what the primary has, ``extra`` the opposite.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias

import orjson

from facade.compare_align import Pair, align
from facade.compare_decode import Repeated
from facade.compare_match import in_order, match, match_by_key
from facade.compare_paths import field_of, member_path
from facade.compare_rules import Place, Rule, RuleKind, compile_rules
from facade.evidence import Difference
from facade.redact import ABSENT, redact_json

_EACH = 5
"""Differences kept in full of each field and kind; the rest are only counted."""
_FIELDS = 200
_DIFFERENCES = 5000
"""A comparison stops after so many distinct fields or differences: answers that far apart need no longer
list, and the worker that compares has clients to serve."""


@dataclass(frozen=True, slots=True)
class JsonOutcome:
    """The differences of two documents; the members mean what they do in `facade.compare.Outcome`."""

    differences: tuple[Difference, ...]
    fields: Mapping[tuple[str, str], int]
    rules: Mapping[str, int]


Watch: TypeAlias = Callable[[str, str, Any, Any], None]
"""Told of every difference: its field, its kind, and the two values themselves."""


def compare_json(primary: Any, shadow: Any, rules: Place, watch: Watch | None = None) -> JsonOutcome:
    """Compare two decoded documents under compiled rules. Raises RecursionError on extreme nesting."""
    walk = _Walk(_FIELDS, watch)
    with suppress(_Enough):
        walk.node("$", primary, shadow, rules)
    return JsonOutcome(tuple(walk.differences), walk.fields, walk.rules)


class _Enough(Exception):  # noqa: N818 - it ends a walk, it is not an error
    pass


class _Walk:
    """One comparison under way: goes down both documents at once and collects what differs."""

    def __init__(self, limit: int, watch: Watch | None = None) -> None:
        self.differences: list[Difference] = []
        self.fields: Counter[tuple[str, str]] = Counter()
        self.rules: Counter[str] = Counter()
        self._limit = limit
        self._watch = watch
        self._found = 0

    def node(self, path: str, primary: Any, shadow: Any, place: Place) -> None:
        if place.ignore is not None:
            if _differ(primary, shadow):
                self.rules[place.ignore] += 1
        elif isinstance(primary, Repeated) or isinstance(shadow, Repeated):
            self._repeated(path, primary, shadow, place)
        elif isinstance(primary, dict) and isinstance(shadow, dict):
            self._members(path, primary, shadow, place)
        elif isinstance(primary, list) and isinstance(shadow, list):
            self._items(path, primary, shadow, place)
        elif (kind := _kind(primary, shadow)) is not None:
            rule = place.excuse(primary, shadow) if kind == "value" else None
            if _is_number(primary, shadow) and (kind == "type" or rule is not None):
                kind, rule = "type", place.number_form and (rule or place.number_form)
            if rule is None:
                self._report(path, kind, primary, shadow)
            else:
                self.rules[rule] += 1

    def _members(self, path: str, primary: dict[str, Any], shadow: dict[str, Any], place: Place) -> None:
        for name, value in primary.items():
            if name not in shadow:
                self._member(path, name, "missing", value, place)
                continue
            other = shadow[name]
            # Most members are equal scalars: they are passed over before a path is spelled out.
            if value is other or (type(value) is type(other) and type(value) in _SCALARS and value == other):
                continue
            self.node(member_path(path, name), value, other, place.member(name))
        for name, value in shadow.items():
            if name not in primary:
                self._member(path, name, "extra", value, place)

    def _member(self, path: str, name: str, kind: str, value: Any, place: Place) -> None:
        """A member that only one side has."""
        member, missing = place.member(name), kind == "missing"
        rule = place.may_lack if missing else place.may_add
        if value is None:
            rule = (member.may_lack_null if missing else member.may_add_null) or rule
        if rule is None or member.ignore is not None:
            self._alone(member_path(path, name), kind, value, member)
        else:
            self.rules[rule] += 1

    def _items(self, path: str, primary: list[Any], shadow: list[Any], place: Place) -> None:
        if len(primary) == len(shadow) == 1:
            self.node(f"{path}[0]", primary[0], shadow[0], place.item(0))
            return
        # Equality is cheap to refuse; where it holds, 1 and 1.0 are still to be told apart.
        if place.dead and primary == shadow and _dump(primary) == _dump(shadow):
            return
        if place.order is not None:
            self._matched(path, primary, shadow, place, place.order)
            return
        ours, theirs = _signatures(primary, place), _signatures(shadow, place)
        for pair in align(primary, shadow, (ours, theirs)):
            here, there = pair
            # Signatures leave some things out, so where rules reach, equal ones prove nothing.
            if (
                here is None
                or there is None
                or ours[here] != theirs[there]
                or not (place.dead or place.item(here).dead)
            ):
                self._pair(path, primary, shadow, pair, place)

    def _matched(self, path: str, primary: list[Any], shadow: list[Any], place: Place, order: Rule) -> None:
        """Items of lists whose order means nothing, by the primary's order."""

        def signatures(ours: Sequence[int], theirs: Sequence[int]) -> tuple[list[bytes], list[bytes]]:
            return (
                [_signature(primary[at], place.item(at)) for at in ours],
                [_signature(shadow[at], place.item(at)) for at in theirs],
            )

        if order.kind is RuleKind.KEYED:
            pairs = match_by_key(order.argument, primary, shadow, signatures)
        else:
            pairs = match(primary, shadow, signatures)
        if not in_order(pairs):
            self.rules[str(order)] += 1
        beyond = len(primary)
        for pair in sorted(pairs, key=lambda pair: (beyond if pair[0] is None else pair[0], pair[1] or 0)):
            self._pair(path, primary, shadow, pair, place)

    def _pair(self, path: str, primary: list[Any], shadow: list[Any], pair: Pair, place: Place) -> None:
        here, there = pair
        if here is not None and there is not None:
            self.node(f"{path}[{here}]", primary[here], shadow[there], place.item(here))
        elif here is not None:
            self._alone(f"{path}[{here}]", "missing", primary[here], place.item(here))
        elif there is not None:
            self._alone(f"{path}[{there}]", "extra", shadow[there], place.item(there))

    def _repeated(self, path: str, primary: Any, shadow: Any, place: Place) -> None:
        ours, theirs = (side if isinstance(side, Repeated) else [side] for side in (primary, shadow))
        if len(ours) != len(theirs):
            self._report(path, "length", *(_Note(_times(len(side))) for side in (ours, theirs)))
            return
        for one, other in zip(ours, theirs, strict=True):
            self.node(path, one, other, place)

    def _alone(self, path: str, kind: str, value: Any, place: Place) -> None:
        if place.ignore is not None:
            self.rules[place.ignore] += 1
        elif kind == "missing":
            self._report(path, kind, value, _MISSING)
        else:
            self._report(path, kind, _MISSING, value)

    def _report(self, path: str, kind: str, primary: Any, shadow: Any) -> None:
        field = field_of(path), kind
        self._found += 1
        if self._found > _DIFFERENCES or (field not in self.fields and len(self.fields) >= self._limit):
            raise _Enough
        self.fields[field] += 1
        if self._watch is not None:
            self._watch(*field, primary, shadow)
        if self.fields[field] <= _EACH:
            self.differences.append(Difference(path, kind, _text(primary), _text(shadow)))


class _Note(str):
    """A remark that stands where a value's text would."""

    __slots__ = ()


_MISSING = _Note(ABSENT)
_SCALARS = frozenset({str, int, bool, type(None), Decimal})


def _text(value: Any) -> str:
    return str(value) if isinstance(value, _Note) else redact_json(value)


def _times(count: int) -> str:
    return "given once" if count == 1 else f"given {count} times"


def _kind(primary: Any, shadow: Any) -> str | None:
    """How two values differ that are not both containers of one type; None when they do not."""
    if type(primary) is type(shadow):
        return None if primary == shadow else "value"
    if _is_number(primary, shadow):
        return "type" if primary == shadow else "value"
    return "type"


def _is_number(primary: Any, shadow: Any) -> bool:
    """Whether two values of different types are both numbers."""
    return {type(primary), type(shadow)} == {int, Decimal}


def _differ(primary: Any, shadow: Any) -> bool:
    walk = _Walk(limit=1)
    with suppress(_Enough):
        walk.node("$", primary, shadow, _UNRULED)
    return bool(walk.fields)


_UNRULED = compile_rules(())


def _signatures(items: list[Any], place: Place) -> list[bytes]:
    if place.dead:
        return [_dump(item) for item in items]
    return [_signature(item, place.item(at)) for at, item in enumerate(items)]


def _signature(value: Any, place: Place) -> bytes:
    """Bytes that are equal only for equal values, once what the rules leave no meaning is left out."""
    if place.dead:
        return _dump(value)
    return _dump(place.formed(value) if type(value) in _SCALARS else _relevant(value, place))


def _relevant(value: Any, place: Place) -> Any:
    """The value without what is ignored in it, volatile, or free to be absent; unordered lists sorted."""
    if place.ignore is not None:
        return None
    if type(value) is dict:
        kept = {}
        for name, member in value.items():
            below = place.member(name)
            if below.ignore or (member is None and (below.may_lack_null or below.may_add_null)):
                continue
            kept[name] = member if below.dead else _relevant(member, below)
        return kept
    if type(value) is list:
        items = [_relevant(item, place.item(at)) for at, item in enumerate(value)]
        return items if place.order is None else sorted(map(_dump_text, items))
    return None if place.is_volatile(value) else place.formed(value)


def _dump_text(value: Any) -> str:
    return _dump(value).decode("utf-8", "surrogatepass")


def _dump(value: Any) -> bytes:
    if type(value) in _SCALARS:  # cheaper by far than a document of its own
        return repr(value).encode("utf-8", "surrogatepass")
    try:
        return orjson.dumps(value, _exactly, orjson.OPT_SORT_KEYS | orjson.OPT_PASSTHROUGH_SUBCLASS)
    except orjson.JSONEncodeError:  # whole numbers beyond 64 bits, lone surrogates, deep nesting
        return repr(value).encode("utf-8", "surrogatepass")


def _exactly(value: Any) -> orjson.Fragment:
    """Written so that it is like no other JSON value."""
    if isinstance(value, Repeated):
        return orjson.Fragment(b"Repeated" + _dump(list(value)))
    return orjson.Fragment(repr(value).encode())
