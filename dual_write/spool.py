"""Long sequences in flat memory: what does not fit into a little of it lies in a temporary file."""

import pickle
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from tempfile import SpooledTemporaryFile
from typing import TypeVar, overload
from weakref import finalize

T = TypeVar("T")

_BLOCK = 1_000
_MEMORY_BYTES = 1 << 20


class _Lazy(Sequence[T]):
    """Equal to any sequence of the same items."""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(one == two for one, two in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # a sequence may grow

    @overload
    def __getitem__(self, at: int) -> T: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[T]: ...
    def __getitem__(self, at: int | slice) -> T | Sequence[T]:
        places = range(len(self))[at]
        return self._at(places) if isinstance(places, int) else [self._at(place) for place in places]

    def _at(self, place: int) -> T:
        raise NotImplementedError


class Spool(_Lazy[T]):
    """Grows at its end. Its items can be pickled."""

    def __init__(self, items: Iterable[T] = ()) -> None:
        # Without a name on the disk, and nobody else's to read.
        self._file = SpooledTemporaryFile(_MEMORY_BYTES, prefix="strangler-")  # noqa: SIM115 - lives as long
        finalize(self, self._file.close)
        self._blocks: list[int] = []  # where in the file each full block begins
        self._last: list[T] = []
        self.extend(items)

    def extend(self, items: Iterable[T]) -> None:
        for item in items:
            self._last.append(item)
            if len(self._last) == _BLOCK:
                self._blocks.append(self._file.seek(0, 2))
                pickle.dump(self._last, self._file)
                self._last = []

    def __len__(self) -> int:
        return _BLOCK * len(self._blocks) + len(self._last)

    def __iter__(self) -> Iterator[T]:
        return chain(chain.from_iterable(map(self._read, self._blocks)), self._last)

    def _at(self, place: int) -> T:
        block, within = divmod(place, _BLOCK)
        return (self._read(self._blocks[block]) if block < len(self._blocks) else self._last)[within]

    def _read(self, start: int) -> list[T]:
        self._file.seek(start)
        return list(pickle.load(self._file))  # noqa: S301 - nobody else can have written it


class Joined(_Lazy[T]):
    """Sequences one after the other, as one."""

    def __init__(self, parts: Iterable[Sequence[T]]) -> None:
        self._parts = tuple(parts)

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def __iter__(self) -> Iterator[T]:
        return chain.from_iterable(self._parts)

    def _at(self, place: int) -> T:
        for part in self._parts:
            if place < len(part):
                return part[place]
            place -= len(part)
        raise IndexError(place)
