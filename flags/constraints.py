"""Constraints, compiled: each becomes one function of the context that answers as Unleash's engine would."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from sys import float_info
from typing import Any

from flags.context import Context, Lookup, lookup
from flags.document import Constraint
from flags.errors import FlagError
from flags.instant import Instant, parse_instant
from flags.text import require_quotable
from flags.version import Version, parse_version

Test = Callable[[Context], bool]
Network = IPv4Network | IPv6Network

_FLOAT = re.compile(
    r"[+-]?(?:\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|inf|infinity|nan)",
    re.ASCII | re.IGNORECASE,
)
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?", re.ASCII)
# Contexts may say it in many more ways than constraints.
_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{3})?(?:Z|[+-]\d\d:\d\d)", re.ASCII)
_PREFIX = re.compile(r"\+?\d+", re.ASCII)


def compile_constraint(flag: str, constraint: Constraint) -> Test:
    """The test that a constraint makes. Raises FlagError for one that Unleash's engine could not read."""
    operator = constraint.operator
    require_quotable(flag, "name of a constraint", [constraint.context_name])
    require_quotable(flag, "value of a constraint", constraint.values or (), escaped=True)
    look = lookup(constraint.context_name)
    if operator in {"IN_CIDR", *_FRAGMENTS} and not constraint.values:
        raise _unreadable(flag, constraint, "has no values")
    if operator in _LISTS:
        test = _LISTS[operator](look, constraint.values or ())  # of which Unleash minds the case
    elif operator in _FRAGMENTS:
        test = _fragment(
            look, constraint.values or (), _FRAGMENTS[operator], fold=constraint.case_insensitive
        )
    elif operator in _ORDERS:
        parse, read, compare = _ORDERS[operator]
        bound = None if constraint.value is None else read(constraint.value.strip(" \t"))
        if bound is None:
            raise _unreadable(flag, constraint, f"has the value {constraint.value!r}")
        test = _order(look, parse, compare, bound)
    else:
        raise _unreadable(flag, constraint, "is not known here")
    if not constraint.inverted:
        return test
    return lambda context: not test(context)


def networks(addresses: Iterable[str]) -> tuple[Network, ...]:
    """The addresses and networks among the texts; what is neither counts for nothing, as in Unleash."""
    return tuple(network for address in addresses if (network := _network(address)) is not None)


def _network(text: str) -> Network | None:
    address, slash, prefix = text.partition("/")
    if "%" in address:  # Python knows zones
        return None
    try:
        if _PREFIX.fullmatch(prefix):
            return ip_network((address, int(prefix)), strict=False)
        network = ip_network(text, strict=False)
    except ValueError:
        return None
    # Python takes masks of hosts too
    return network if not slash or str(network.netmask) == prefix else None


def within(look: Lookup, ranges: Sequence[Network]) -> Test:
    """Whether the address that the context says is in one of the networks."""

    def test(context: Context) -> bool:
        said = look(context)
        if said is None or "%" in said:
            return False
        try:
            address = ip_address(said)
        except ValueError:
            return False
        return any(address in each for each in ranges)

    return test


def _in(look: Lookup, values: Sequence[str]) -> Test:
    wanted = frozenset(values)
    return lambda context: look(context) in wanted


def _not_in(look: Lookup, values: Sequence[str]) -> Test:
    unwanted = frozenset(values)
    return lambda context: look(context) not in unwanted


def _in_cidr(look: Lookup, values: Sequence[str]) -> Test:
    return within(look, networks(values))


def _fragment(look: Lookup, values: Sequence[str], has: Callable[[str, str], bool], *, fold: bool) -> Test:
    wanted = tuple(value.lower() for value in values) if fold else tuple(values)

    def test(context: Context) -> bool:
        value = look(context)
        if value is None:
            return False
        if fold:
            value = value.lower()
        return any(has(value, each) for each in wanted)

    return test


def _order(
    look: Lookup, parse: Callable[[str], Any], compare: Callable[[Any, Any], bool], bound: Any
) -> Test:
    def test(context: Context) -> bool:
        value = look(context)
        found = None if value is None else parse(value)
        return found is not None and compare(found, bound)

    return test


def _float(text: str) -> float | None:
    return float(text) if _FLOAT.fullmatch(text) else None


def _number(text: str) -> float | None:
    return float(text) if _NUMBER.fullmatch(text) else None


def _date(text: str) -> Instant | None:
    return parse_instant(text) if _DATE.fullmatch(text) else None


def _equal(one: float, other: float) -> bool:
    return abs(one - other) < float_info.epsilon


_LISTS: Mapping[str, Callable[[Lookup, Sequence[str]], Test]] = {
    "IN": _in,
    "NOT_IN": _not_in,
    "IN_CIDR": _in_cidr,
}
_FRAGMENTS: Mapping[str, Callable[[str, str], bool]] = {
    "STR_CONTAINS": str.__contains__,
    "STR_STARTS_WITH": str.startswith,
    "STR_ENDS_WITH": str.endswith,
}

# How the context's text is read, how the constraint's is, and how the two compare.
_Order = tuple[Callable[[str], Any], Callable[[str], Any], Callable[[Any, Any], bool]]
_ORDERS: Mapping[str, _Order] = {
    "NUM_EQ": (_float, _number, _equal),
    "NUM_GT": (_float, _number, float.__gt__),
    "NUM_GTE": (_float, _number, float.__ge__),
    "NUM_LT": (_float, _number, float.__lt__),
    "NUM_LTE": (_float, _number, float.__le__),
    "DATE_AFTER": (parse_instant, _date, tuple.__gt__),
    "DATE_BEFORE": (parse_instant, _date, tuple.__lt__),
    "SEMVER_EQ": (parse_version, parse_version, Version.__eq__),
    "SEMVER_GT": (parse_version, parse_version, Version.__gt__),
    "SEMVER_GTE": (parse_version, parse_version, Version.__ge__),
    "SEMVER_LT": (parse_version, parse_version, Version.__lt__),
    "SEMVER_LTE": (parse_version, parse_version, Version.__le__),
}


def _unreadable(flag: str, constraint: Constraint, what: str) -> FlagError:
    return FlagError(
        f"flag {flag!r} has a constraint on {constraint.context_name!r} whose {constraint.operator} {what}. "
        f"Use one of {', '.join([*_LISTS, *_FRAGMENTS, *_ORDERS])}, with a value of its kind."
    )
