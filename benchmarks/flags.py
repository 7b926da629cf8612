"""How long a sticky percentage takes to evaluate, beside UnleashClient with the same flags; whom it lets in;
how long a change of one takes until every worker serves it, also where a real Unleash keeps it;
how long a burst of errors lasts.
"""

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from statistics import median
from time import perf_counter

from UnleashClient import UnleashClient  # type: ignore[attr-defined]  # re-exported without saying so
from UnleashClient.cache import FileCache

from benchmarks.flip import flips, flips_in_unleash
from benchmarks.guard import bursts
from benchmarks.rounds import Options, interleave, report
from benchmarks.writes import p99
from flags.document import Feature, document, gradual
from flags.rule import compile_feature
from flags.snapshot import FlagSnapshot, compile_snapshot
from migration.demo.errors import ServerUnavailableError
from migration.demo.servers import PostgreSQLServer
from tests.servers.unleash import provided

FLAG = "search.reads"
KEYS = tuple(f"user-{number}" for number in range(1000))


def features(count: int) -> list[Feature]:
    """The measured flag at 30 %, among others."""
    return [gradual(FLAG, 3000), *(gradual(f"phase{number}.reads", 500) for number in range(count - 1))]


@contextmanager
def unleash_client(flags: Sequence[Feature]) -> Iterator[UnleashClient]:
    """UnleashClient with flags that it was given beforehand; it asks no server."""
    with tempfile.TemporaryDirectory() as directory:
        cache = FileCache("benchmark", directory=directory)
        cache.bootstrap_from_dict(document(flags))
        client = UnleashClient(
            "http://127.0.0.1:1/api",
            "benchmark",
            disable_metrics=True,
            disable_registration=True,
            cache=cache,
        )
        client.initialize_client(fetch_toggles=False)
        try:
            yield client
        finally:
            client.destroy()


def microseconds(evaluate: Callable[[str], object], repeats: int) -> float:
    """One evaluation, on average over ``repeats`` of every key."""
    begin = perf_counter()
    for _ in range(repeats):
        for key in KEYS:
            evaluate(key)
    return (perf_counter() - begin) * 1e6 / (repeats * len(KEYS))


def ours(snapshot: FlagSnapshot) -> Callable[[str], bool]:
    return lambda key: snapshot.enabled(FLAG, key)


def spread() -> dict[str, float]:
    """How many of 100,000 ids a tenth lets in, in percent, and how many of them a greater share puts out."""
    ids = [str(number) for number in range(100_000)]
    inside = [
        {key for key in ids if rule.enabled(key)}
        for rule in (compile_feature(gradual(FLAG, share)) for share in (1000, 2500, 5000))
    ]
    evicted = sum(len(fewer - more) for fewer, more in pairwise(inside))
    return {"share_at_10": len(inside[0]) / 1000, "evicted_ids": float(evicted)}


def through_unleash(count: int) -> list[float]:
    """As `flips_in_unleash`; empty, with the reason, where there is no server to start."""
    try:
        with (
            PostgreSQLServer(os.environ.get("STRANGLER_TEST_POSTGRESQL") or None) as postgresql,
            provided(postgresql.create_database) as server,
        ):
            return flips_in_unleash(count, server)
    except ServerUnavailableError as error:
        print(error)
        return []


def main() -> None:
    options = Options.parse(__doc__ or "")
    flipped = flips(200 if options.quick else 1000)
    unleashed = through_unleash(10 if options.quick else 50)
    ended = bursts(3 if options.quick else 10)
    one, many = (compile_snapshot(1, features(count)) for count in (1, 1000))
    with unleash_client(features(1)) as client:
        theirs = {key: client.is_enabled(FLAG, {"userId": key}) for key in KEYS}
        assert theirs == {key: one.enabled(FLAG, key) for key in KEYS}
        repeats = 20 if options.quick else 100
        samples = interleave(
            {
                "strangler": lambda: microseconds(ours(one), repeats),
                "strangler, 1,000 flags": lambda: microseconds(ours(many), repeats),
                "UnleashClient": lambda: microseconds(
                    lambda key: client.is_enabled(FLAG, {"userId": key}), max(1, repeats // 20)
                ),
            },
            rounds=5 if options.quick else 15,
        )
    results = {
        "evaluate_us": samples.median("strangler"),
        "many_flags_ratio": samples.ratio("strangler, 1,000 flags", "strangler"),
        "vs_unleash_client": samples.ratio("UnleashClient", "strangler"),
        "flip_ms_p50": median(flipped),
        "flip_ms_p99": p99(flipped),
        **spread(),
        "guard_ms": median(ended),
    }
    if unleashed:
        results |= {"unleash_flip_ms_p50": median(unleashed), "unleash_flip_ms_p99": p99(unleashed)}
    report("Evaluating a sticky percentage", samples, "µs", results, options)


if __name__ == "__main__":
    main()
