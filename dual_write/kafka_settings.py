"""Which Kafka, and how to speak to it. Nothing here needs Kafka's library."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Brokers:
    """Which Kafka, and how to speak to it.

    ``partitions`` and ``replication`` are for topics made here; None leaves it to the brokers.
    """

    bootstrap: tuple[str, ...]
    topic_prefix: str = "strangler"
    partitions: int = 4
    replication: int | None = None
    protocol: str = "PLAINTEXT"
    mechanism: str | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    ca: str | None = None

    @property
    def shown(self) -> str:
        return ",".join(self.bootstrap)
