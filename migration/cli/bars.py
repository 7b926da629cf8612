"""Progress bars, on standard error so that output stays clean."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from migration.cli.output import err


class Bars:
    """A progress bar for each table."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def show(self, table: str, rows: int, total: int) -> None:
        """Move a table's bar; an estimate that turned out too small grows."""
        if table not in self._tasks:
            self._tasks[table] = self._progress.add_task(table, total=total)
        self._progress.update(self._tasks[table], completed=rows, total=max(rows, total))


@contextmanager
def bars(quiet: bool) -> Iterator[Bars]:
    """``quiet`` shows none."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, disable=quiet) as progress:
        yield Bars(progress)
