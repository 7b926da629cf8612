"""Unleash's standard strategies, compiled; each says who is in."""

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from flags.constraints import Test, compile_constraint, networks, within
from flags.context import Context, lookup, sticky
from flags.document import Strategy
from flags.errors import FlagError
from flags.rollout import EVERYBODY, Rollout, compile_rollout
from flags.text import listed, require_quotable


@dataclass(frozen=True, slots=True)
class Compiled:
    """A strategy: ``test`` decides by the whole context, and ``rollout``, where there is one, by the routing
    key alone. ``share`` (‱) is what it lets in of those that no list and no constraint speaks of.
    """

    test: Test
    share: int = 0
    rollout: Rollout | None = None


def compile_strategy(flag: str, strategy: Strategy) -> Compiled:
    """Raises FlagError for what Unleash's engine would not read. A strategy of another name is never met."""
    if strategy.disabled:
        raise FlagError(f"flag {flag!r} has a disabled strategy, which Unleash never serves. Leave it out.")
    kind = _KINDS.get(strategy.name, _of_their_own)
    compiled = kind(flag, strategy.parameters)
    if not strategy.constraints:
        return compiled
    tests = [compile_constraint(flag, each) for each in strategy.constraints]
    tests.append(compiled.test)
    return Compiled(lambda context: all(test(context) for test in tests))


def known(strategy: Strategy) -> bool:
    """Whether it is one of the standard strategies."""
    return strategy.name in _KINDS


def _of_their_own(flag: str, parameters: Mapping[str, str]) -> Compiled:  # noqa: ARG001 - as the others, by a table
    return Compiled(lambda _: False)


def _default(flag: str, parameters: Mapping[str, str]) -> Compiled:  # noqa: ARG001 - as above
    return Compiled(lambda _: True, EVERYBODY.share, EVERYBODY)


def _flexible(flag: str, parameters: Mapping[str, str]) -> Compiled:
    stickiness = parameters.get("stickiness", "default")
    require_quotable(flag, "stickiness", [stickiness])
    rollout = compile_rollout(flag, parameters.get("groupId", flag), parameters.get("rollout"))
    return _sticky(rollout, stickiness, by_key=stickiness in {"default", "userId"})


def _by_user(flag: str, parameters: Mapping[str, str]) -> Compiled:
    return _sticky(_gradual(flag, parameters), "userId", by_key=True)


def _by_session(flag: str, parameters: Mapping[str, str]) -> Compiled:
    return _sticky(_gradual(flag, parameters), "sessionId", by_key=False)


def _gradual(flag: str, parameters: Mapping[str, str]) -> Rollout:
    return compile_rollout(flag, _parameter(flag, parameters, "groupId"), parameters.get("percentage"))


def _sticky(rollout: Rollout, stickiness: str, *, by_key: bool) -> Compiled:
    look, admits = sticky(stickiness), rollout.admits

    def test(context: Context) -> bool:
        key = look(context)
        return key is not None and admits(key)

    return Compiled(test, rollout.share, rollout if by_key else None)


def _by_chance(flag: str, parameters: Mapping[str, str]) -> Compiled:
    share = compile_rollout(flag, "", parameters.get("percentage")).share
    return Compiled(lambda context: (1 + context.draw(99)) * 100 < share, share)


def _user_ids(flag: str, parameters: Mapping[str, str]) -> Compiled:
    users = frozenset(listed(_parameter(flag, parameters, "userIds")))
    require_quotable(flag, "user id", users, escaped=True)
    return Compiled(lambda context: context.user_id in users)


def _addresses(flag: str, parameters: Mapping[str, str]) -> Compiled:
    addresses = listed(_parameter(flag, parameters, "IPs"))
    require_quotable(flag, "address", addresses)
    return Compiled(within(lookup("remoteAddress"), networks(addresses)))


def _hosts(flag: str, parameters: Mapping[str, str]) -> Compiled:
    hosts = listed(parameters.get("hostNames", ""))
    require_quotable(flag, "host", hosts)
    here = socket.gethostname().lower() in {host.lower() for host in hosts}
    return Compiled(lambda _: here)


def _parameter(flag: str, parameters: Mapping[str, str], name: str) -> str:
    if name not in parameters:
        raise FlagError(f"flag {flag!r} has a strategy without its parameter `{name}`. Give it one.")
    return parameters[name]


_KINDS: Mapping[str, Callable[[str, Mapping[str, str]], Compiled]] = {
    "default": _default,
    "flexibleRollout": _flexible,
    "gradualRolloutUserId": _by_user,
    "gradualRolloutSessionId": _by_session,
    "gradualRolloutRandom": _by_chance,
    "userWithId": _user_ids,
    "remoteAddress": _addresses,
    "applicationHostname": _hosts,
}
