"""Which tests go together to one of the processes that `make test` divides them among."""

from pathlib import PurePosixPath

import pytest
from xdist.scheduler import LoadFileScheduling

# Slow to start and large: the files whose names say that they use one share one.
_SERVERS = ("kafka", "unleash")


class Scheduling(LoadFileScheduling):
    """A file at a time, in the order in which they were collected."""

    def _split_scope(self, nodeid: str) -> str:
        file = PurePosixPath(nodeid.partition("::")[0])
        return next((server for server in _SERVERS if server in file.name), str(file))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Scheduling:
    return Scheduling(config, log)
