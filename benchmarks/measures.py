"""The facade's measures: each compares contenders in interleaved rounds, and names what comes of it."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from typing import NamedTuple

from benchmarks.course import Course
from benchmarks.deciding import Deciding
from benchmarks.load import CONNECTIONS
from benchmarks.proxies import (
    NotInstalledError,
    envoy_command,
    haproxy_command,
    nginx_command,
    tutorial_command,
    tutorial_environment,
)
from benchmarks.rounds import Samples, Value, interleave
from benchmarks.servers import free_port
from benchmarks.streaming import GIBIBYTE, download, growth, upload

_OF_PEAK = 0.7
_SHADOWED_RATE = 1_500.0
"""Requests a second at which the shadow is measured: each of them is two at the backend."""


class Measured(NamedTuple):
    """``results`` are numbers by name, None for what could not be measured; ``missing`` says why."""

    title: str
    unit: str
    samples: Samples
    results: Mapping[str, Value]
    missing: tuple[str, ...] = ()


def throughput(course: Course) -> Measured:
    """Requests a second through each proxy, on its own core."""
    missing = []
    with ExitStack() as stack:
        backend = stack.enter_context(course.backend())
        ports = {"facade": stack.enter_context(course.facade(backend))[0]}
        for name, command in (
            ("envoy", envoy_command),
            ("haproxy", haproxy_command),
            ("nginx", nginx_command),
        ):
            port = free_port()
            try:
                ports[name] = stack.enter_context(course.peer(port, command(port, backend, course.directory)))
            except NotInstalledError as error:
                missing.append(str(error))
        port = free_port()
        tutorial = course.peer(port, tutorial_command(port), tutorial_environment(backend))
        ports["fastapi_httpx"] = stack.enter_context(tutorial)
        contenders = {name: partial(course.throughput, port) for name, port in ports.items()}
        samples = interleave(contenders, course.rounds)
    ratios = {
        f"vs_{name}": _ratio(samples, "facade", name)
        for name in ("envoy", "haproxy", "nginx", "fastapi_httpx")
    }
    return Measured("One core", "requests/s", samples, ratios, tuple(missing))


def latency(course: Course, peak: float) -> Measured:
    """p99 at the same constant rate, a share of our own ``peak``."""
    rate = _OF_PEAK * peak
    with ExitStack() as stack:
        backend = stack.enter_context(course.backend())
        facade, _ = stack.enter_context(course.facade(backend))
        port = free_port()
        envoy = stack.enter_context(course.peer(port, envoy_command(port, backend, course.directory)))
        samples = interleave(
            {
                "facade": partial(course.p99, facade, rate),
                "envoy": partial(course.p99, envoy, rate),
            },
            course.rounds,
        )
    ratio = {"p99_vs_envoy": _ratio(samples, "facade", "envoy")}
    return Measured(f"p99 at {rate:,.0f} requests/s", "ms", samples, ratio)


def decision(course: Course) -> Measured:
    """A path matched against 1,000 routes, and two sticky flags, in this process."""
    samples = interleave({"decision": Deciding().microseconds}, course.rounds)
    return Measured("Decision", "µs", samples, {"decide_us": samples.median("decision")})


def workers(course: Course) -> Measured:
    """Twice everything: one worker shares one core with its load and backend, two workers share two cores,
    and each has as many connections as the one.

    With the load on the second core there would be nothing left of it for a second worker to win.
    """
    both = (course.proxy, course.load)
    with ExitStack() as stack:
        alone = stack.enter_context(course.backend(course.proxy))
        shared = stack.enter_context(course.backend(*both))
        one, _ = stack.enter_context(course.facade(alone, course.proxy))
        two, _ = stack.enter_context(course.facade(shared, *both, workers=2))
        samples = interleave(
            {
                "one worker, one core": partial(course.throughput, one, course.proxy),
                "two workers, two cores": partial(course.throughput, two, *both, connections=2 * CONNECTIONS),
            },
            course.rounds,
        )
    ratio = {"two_workers": _ratio(samples, "two workers, two cores", "one worker, one core")}
    return Measured("Workers, with load and backend on their cores", "requests/s", samples, ratio)


def streaming(course: Course) -> Measured:
    """1 GiB down and up, beside nginx without buffering, and what memory that takes."""
    missing = []
    with ExitStack() as stack:
        backend = stack.enter_context(course.backend())
        facade, process = stack.enter_context(course.facade(backend))
        ports = {"facade": facade}
        port = free_port()
        try:
            command = nginx_command(port, backend, course.directory, buffering=False)
            ports["nginx"] = stack.enter_context(course.peer(port, command))
        except NotInstalledError as error:
            missing.append(str(error))
        grown = growth(process, facade)
        contenders: dict[str, Callable[[], float]] = {}
        for name, port in ports.items():
            contenders[f"{name} down"] = partial(download, port, GIBIBYTE)
            contenders[f"{name} up"] = partial(upload, port, GIBIBYTE)
        samples = interleave(contenders, course.rounds, warm_up=0)
    results = {
        "stream_growth_mib": grown,
        "download_vs_nginx": _ratio(samples, "facade down", "nginx down"),
        "upload_vs_nginx": _ratio(samples, "facade up", "nginx up"),
    }
    return Measured("1 GiB streamed", "MiB/s", samples, results, tuple(missing))


def shadow(course: Course) -> Measured:
    """p99 of clients at a fixed rate while every read is asked of the service too, and while none is."""
    with ExitStack() as stack:
        backend = stack.enter_context(course.backend())
        off, _ = stack.enter_context(course.facade(backend))
        on, _ = stack.enter_context(course.facade(backend, shadow=True))
        samples = interleave(
            {
                "shadow off": partial(course.p99, off, _SHADOWED_RATE),
                "shadow of all reads": partial(course.p99, on, _SHADOWED_RATE),
            },
            course.rounds,
        )
    ratio = {"shadow_p99": _ratio(samples, "shadow of all reads", "shadow off")}
    return Measured(f"p99 at {_SHADOWED_RATE:,.0f} requests/s", "ms", samples, ratio)


def _ratio(samples: Samples, one: str, other: str) -> float | None:
    """Of the medians; None when one of them is missing."""
    if one not in samples.of or other not in samples.of:
        return None
    return samples.median(one) / samples.median(other)
