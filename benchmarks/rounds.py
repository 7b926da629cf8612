"""Contenders measured in interleaved rounds, so that whatever else the machine does falls on all alike."""

import argparse
import json
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import comb
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

Value = float | None
"""A result; None for what could not be measured."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a benchmark was asked to run: ``quick`` is smaller and shorter; ``json`` is the file that gets the
    results as one JSON line, ``-`` for the end of the output, None for neither."""

    quick: bool
    json: str | None

    @classmethod
    def parse(cls, description: str, arguments: Sequence[str] | None = None) -> "Options":
        parser = argparse.ArgumentParser(description=description)
        parser.add_argument("--quick", action="store_true", help="smaller and shorter")
        parser.add_argument(
            "--json",
            nargs="?",
            const="-",
            metavar="FILE",
            help="write one JSON object to the file; without a file, as the last line",
        )
        parsed = parser.parse_args(arguments)
        return cls(quick=parsed.quick, json=parsed.json)


@dataclass(frozen=True, slots=True)
class Samples:
    """What each contender measured, round by round."""

    of: Mapping[str, tuple[float, ...]]

    def median(self, name: str) -> float:
        return median(self.of[name])

    def medians(self) -> dict[str, float]:
        return {name: median(values) for name, values in self.of.items()}

    def ratio(self, name: str, to: str) -> float:
        """The median of the rounds' own ratios: what slows one round down slows both of its sides."""
        return median(self._ratios(name, to))

    def interval(self, name: str, to: str) -> tuple[float, float]:
        """Where the ratio lies with 95 % confidence: the sign test's interval of a median, which asks nothing
        of how the rounds are distributed. With five rounds or fewer it is their whole range."""
        ratios = self._ratios(name, to)
        rounds, tail, cut = len(ratios), 0.0, 0
        while cut < rounds // 2 and (tail := tail + comb(rounds, cut) / 2**rounds) <= 0.025:
            cut += 1
        cut = max(0, cut - 1)
        return ratios[cut], ratios[rounds - 1 - cut]

    def _ratios(self, name: str, to: str) -> list[float]:
        return sorted(one / other for one, other in zip(self.of[name], self.of[to], strict=True))


def interleave(contenders: Mapping[str, Callable[[], float]], rounds: int, *, warm_up: int = 1) -> Samples:
    """Run every contender once a round, each round starting with another; the warm-up's numbers are dropped.

    A contender does one round's work and returns its measurement: seconds, requests a second, rows a second …
    """
    names = list(contenders)
    measured: dict[str, list[float]] = {name: [] for name in names}
    for number in range(warm_up + rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            value = contenders[name]()
            if number >= warm_up:
                measured[name].append(value)
    return Samples({name: tuple(values) for name, values in measured.items()})


def report(
    title: str,
    samples: Samples,
    unit: str,
    results: Mapping[str, float | int | str | bool],
    options: Options,
) -> None:
    """Print the medians with their spread and the named results; with ``--json`` all as one line."""
    if samples.of:
        show(title, samples, unit)
    console = Console()
    for name, value in results.items():
        console.print(f"{name} = {f'{value:.4g}' if isinstance(value, float) else value}", highlight=False)
    emit({**results, "medians": samples.medians(), "unit": unit}, options)


def show(title: str, samples: Samples, unit: str) -> None:
    """Print the medians with their spread."""
    table = Table(title=title, title_justify="left")
    for heading in ("contender", f"median {unit}", "lowest", "highest", "rounds"):
        table.add_column(heading, justify="left" if heading == "contender" else "right")
    for name, values in samples.of.items():
        numbers = (median(values), min(values), max(values))
        table.add_row(name, *(f"{number:,.4g}" for number in numbers), str(len(values)))
    Console().print(table)


def emit(document: Mapping[str, object], options: Options) -> None:
    """Leave the results where ``--json`` wants them, with the machine they were measured on."""
    if options.json is None:
        return
    line = json.dumps({**document, "machine": _machine()})
    if options.json == "-":
        print(line)
    else:
        Path(options.json).write_text(line + "\n")


def _machine() -> dict[str, str | int | None]:
    return {"cores": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()}
