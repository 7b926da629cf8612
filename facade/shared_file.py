"""Memory that all workers of a host share: a mapped file, or this process's own when there is none."""

import mmap
import os
from pathlib import Path
from secrets import token_bytes

SEED = 8
"""The first bytes are random, the same for all who share the file."""


def shared(file: str | None, size: int) -> memoryview:
    """``SEED`` random bytes and ``size`` zeroes behind them, or what was made of them before."""
    if file is None:
        return memoryview(bytearray(token_bytes(SEED) + bytes(size)))
    path = Path(file)
    if not path.exists():
        _make(path, size)
    with path.open("r+b") as opened:
        return memoryview(mmap.mmap(opened.fileno(), SEED + size))


def _make(path: Path, size: int) -> None:
    """Whole or not at all; whoever comes second leaves it as it is."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.{token_bytes(4).hex()}")
    with draft.open("xb") as opened:
        opened.write(token_bytes(SEED))
        opened.truncate(SEED + size)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
