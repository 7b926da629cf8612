"""What every test may ask for."""

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
