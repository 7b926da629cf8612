"""What every test may ask for."""

import os
import sys

from hypothesis import HealthCheck, settings

pytest_plugins = [
    "tests.scheduling",
    "tests.servers.kafka",
    "tests.servers.postgresql",
    "tests.servers.unleash",
]

# No example is judged by its time: the machine that runs the tests may be busy with something else.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

# Images of containers often forbid it, and then each of the hundreds of processes that the tests start would
# compile every module anew, which takes longer than what most of them are started for.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# The size of a terminal comes here through readline in the parent process: tests set what they need.
for variable in ("COLUMNS", "LINES"):
    os.environ.pop(variable, None)
