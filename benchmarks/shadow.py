"""What the shadow costs, and what it finds.

How long one comparison of two answers takes: a 29 KB list of which every tenth item changed; also beside
DeepDiff, which is given the two bodies as well and reads them with `json.loads`, and with the items in
another order, paired by their key. What clients of the monolith feel of a shadow of all their reads. And a
monolith that never gives the same answer twice: how often it still differs from itself once it is calibrated,
and which of the faults that are planted in its answers are found.
"""

import json
import os
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from copy import deepcopy
from functools import partial
from pathlib import Path
from random import Random
from time import perf_counter
from typing import Any

from deepdiff import DeepDiff
from rich.console import Console
from rich.table import Table

from benchmarks import noisy
from benchmarks.course import Course
from benchmarks.measures import Measured
from benchmarks.noisy import STRUCTURAL, VALUES, Document, Noisy
from benchmarks.open_loop import Latencies
from benchmarks.pinning import available
from benchmarks.rounds import Options, Samples, Value, emit, interleave, show
from facade.compare import Answer, Rules, compare
from facade.compare_rules import Rule, RuleKind

ROWS = (
    ("diff_29k_ms", "a 29 KB list, 10 % of the items changed, ms", "≤ 5"),
    ("diff_29k_ruled_ms", "the same with one member ignored, ms", ""),
    ("unordered_vs_ordered", "the same in another order, by key, × in order", "≤ 2"),
    ("vs_deepdiff", "the same, DeepDiff's time × ours", "≥ 5"),
    ("byte_equal_ms", "bodies that are byte for byte the same, ms", "≤ 0.1"),
    ("primary_p50", "clients' p50 with all reads shadowed, × without", "≤ 1.1"),
    ("primary_p99", "clients' p99 with all reads shadowed, × without", "≤ 1.2"),
    ("aa_mismatched", "the monolith against itself after calibration, differing share", "≤ 0.001"),
    ("mutations_structural", "planted faults of structure, type, status: found", "1"),
    ("mutations_value", "planted faults of value inside noisy fields: found", "≥ 0.95"),
)
"""Each result, what it is, and what it must be."""
_RATE = 1_500.0
"""Requests a second of the clients: each of them is two at the backend."""
_JSON = ((b"content-type", b"application/json"),)


def listing() -> dict[str, Any]:
    """A page of a resource list as a monolith answers it, about 29 KB of JSON."""
    items = [
        {
            "id": number,
            "title": f"Resource number {number}",
            "summary": "what it is about, in a sentence of the usual length",
            "owner": {"id": number % 7, "name": "Ann"},
            "tags": ["alpha", "beta", "gamma"],
            "price": number * 1.25,
            "created_at": "2024-01-02T03:04:05Z",
            "deleted_at": None,
            "views": number * 3,
        }
        for number in range(116)
    ]
    return {"items": items, "total": 1000, "took_ms": 3}


def changed(document: dict[str, Any]) -> dict[str, Any]:
    """The same with every tenth item changed in two members."""
    items = [
        {**item, "price": item["price"] + 1, "title": item["title"] + "!"} if at % 10 == 0 else item
        for at, item in enumerate(document["items"])
    ]
    return {**document, "items": items}


def reordered(document: dict[str, Any]) -> dict[str, Any]:
    """The same with its items in another order."""
    return {**document, "items": Random(1).sample(document["items"], len(document["items"]))}


def deepdiff(primary: Answer, shadow: Answer) -> object:
    return DeepDiff(json.loads(primary.body), json.loads(shadow.body))


def answer(document: dict[str, Any]) -> Answer:
    return Answer(200, _JSON, json.dumps(document, separators=(",", ":")).encode())


def milliseconds(work: Callable[[], object], repeats: int) -> float:
    """How long ``work`` takes, on average over the repeats of one round."""
    begin = perf_counter()
    for _ in range(repeats):
        work()
    return (perf_counter() - begin) * 1000 / repeats


def comparing(*, quick: bool) -> Measured:
    """Milliseconds of one comparison."""
    primary, shadow = answer(listing()), answer(changed(listing()))
    # Another object of the same bytes, as two answers from the wire are.
    twin = Answer(200, _JSON, bytes(bytearray(primary.body)))
    assert compare(primary, shadow, Rules()).fields == {
        ("$.items[*].price", "value"): 12,
        ("$.items[*].title", "value"): 12,
    }
    mixed, keyed = (
        answer(reordered(changed(listing()))),
        Rules(rules=(Rule(RuleKind.KEYED, "$.items", "id"),)),
    )
    unordered = Rules(rules=(Rule(RuleKind.UNORDERED, "$.items"),))
    for rules in (keyed, unordered):
        assert compare(primary, mixed, rules).fields == compare(primary, shadow, Rules()).fields
    repeats = 20 if quick else 100
    pairs = {
        "10 % changed": (shadow, Rules()),
        "10 % changed, one member ignored": (shadow, Rules(ignore=("$.items[*].price",))),
        "10 % changed, unordered by key": (mixed, keyed),
        "10 % changed, unordered": (mixed, unordered),
        "byte-equal": (twin, Rules()),
    }
    samples = interleave(
        {
            name: partial(milliseconds, partial(compare, primary, other, rules), repeats)
            for name, (other, rules) in pairs.items()
        }
        | {"10 % changed, DeepDiff": partial(milliseconds, partial(deepdiff, primary, shadow), 1)},
        rounds=5 if quick else 15,
    )
    results = {
        "diff_29k_ms": samples.median("10 % changed"),
        "diff_29k_ruled_ms": samples.median("10 % changed, one member ignored"),
        "vs_deepdiff": samples.ratio("10 % changed, DeepDiff", "10 % changed"),
        "unordered_vs_ordered": samples.ratio("10 % changed, unordered by key", "10 % changed"),
        "byte_equal_ms": samples.median("byte-equal"),
    }
    return Measured(f"Comparing two answers of {len(primary.body):,} bytes", "ms", samples, results)


def felt(*, quick: bool) -> Measured:
    """Latencies of clients at a fixed rate, while every read is asked of the service too, and while not."""
    cores = available()
    rounds, seconds = (5, 2.0) if quick else (15, 3.0)
    told: dict[str, list[Latencies]] = {"off": [], "on": []}

    def measure(name: str, port: int) -> float:
        told[name].append(course.latencies(port, _RATE))
        return told[name][-1].p99

    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        course = Course(Path(directory), cores[0], cores[-1], rounds, seconds)
        backend = stack.enter_context(course.backend())
        ports = {
            "off": stack.enter_context(course.facade(backend))[0],
            "on": stack.enter_context(course.facade(backend, shadow=True))[0],
        }
        interleave({name: partial(measure, name, port) for name, port in ports.items()}, rounds)
    warm = {name: each[1:] for name, each in told.items()}
    samples = Samples(
        {
            f"{share}, shadow {name}": tuple(getattr(each, share) for each in warm[name])
            for share in ("p50", "p99")
            for name in ("off", "on")
        }
    )
    ratios = {
        f"primary_{share}": samples.ratio(f"{share}, shadow on", f"{share}, shadow off")
        for share in ("p50", "p99")
    }
    return Measured(f"Clients at {_RATE:,.0f} requests/s", "ms", samples, ratios)


def finding(*, quick: bool) -> Mapping[str, Value]:
    """Shares: of the monolith's answers that differ from its own, and of the planted faults found."""
    requests, planted = (2_000, 10) if quick else (10_000, 50)
    rules, monolith, chance = noisy.calibrated(1_000), Noisy(2), Random(3)
    mismatched = sum(
        differs(monolith.document(number), monolith.document(number), rules) for number in range(requests)
    )

    def share(faults: Mapping[str, Callable[[Document], None]]) -> float:
        found = 0
        for fault in faults.values():
            for number in chance.sample(range(requests), planted):
                broken = deepcopy(monolith.document(number))
                fault(broken)
                found += differs(monolith.document(number), broken, rules)
        return found / (planted * len(faults))

    statuses = [
        bool(compare(noisy.answer(monolith.document(1)), noisy.answer({}, status), rules).differences)
        for status in (201, 304, 404, 500, 503)
    ]
    return {
        "aa_requests": requests,
        "aa_mismatched": mismatched / requests,
        "mutations_structural": min(share(STRUCTURAL), sum(statuses) / len(statuses)),
        "mutations_value": share(VALUES),
    }


def differs(primary: Document, shadow: Document, rules: Rules) -> bool:
    return bool(compare(noisy.answer(primary), noisy.answer(shadow), rules).differences)


def main() -> None:
    options = Options.parse(__doc__ or "")
    measured = [comparing(quick=options.quick), felt(quick=options.quick)]
    results = {name: value for each in measured for name, value in each.results.items()}
    results |= finding(quick=options.quick)
    for each in measured:
        show(each.title, each.samples, each.unit)
    table = Table(title="The shadow", title_justify="left")
    for heading in ("what", "measured", "must", "name"):
        table.add_column(heading, justify="right" if heading == "measured" else "left")
    for name, what, must in ROWS:
        table.add_row(what, f"{results[name]:.4g}", must, name)
    Console().print(table)
    medians = {f"{each.title}, {each.unit}": each.samples.medians() for each in measured}
    emit({**results, "medians": medians, "load_average": os.getloadavg()[0]}, options)


if __name__ == "__main__":
    main()
