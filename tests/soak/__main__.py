"""Random faults under load, for as long as you like: ``python -m tests.soak --minutes 10 --seed 7``.

The last line is the verdict. The exit code is 1 when a write was lost or doubled or something was left over.
"""

import argparse
import secrets
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

from migration.demo.environment import Size
from tests.soak.run import Soak

CHECKOUT = Path(__file__).parents[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=None, help="of an earlier run, to meet the same faults")
    parser.add_argument("--users", type=int, default=12, help="how many people use the applications")
    parser.add_argument("--directory", type=Path, help="where to leave logs and the clients' records")
    options = parser.parse_args()
    seed = secrets.randbelow(1_000_000) if options.seed is None else options.seed
    if options.directory is not None:
        options.directory.mkdir(parents=True, exist_ok=True)
    temporary = tempfile.TemporaryDirectory(prefix="strangler-soak-")
    began = time.monotonic()

    def tell(line: str) -> None:
        sys.stderr.write(f"{time.monotonic() - began:7.1f}  {line}\n")

    tell(f"seed {seed}")
    size = Size(resources=500, users=options.users)
    kept = temporary if options.directory is None else nullcontext(str(options.directory))
    with kept as directory, Soak(CHECKOUT, Path(directory), seed, size, tell) as soak:
        tally = soak.run(options.minutes * 60)
    for line in tally.wrong[:20]:
        tell(line)
    sys.stdout.write(f"{tally}\n")
    sys.exit(not tally.good)


if __name__ == "__main__":
    main()
