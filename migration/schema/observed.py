"""The control database: what was observed of traffic, at the facade, at both sides and in the shadow.

Times are as in `migration.schema.tables`.
"""

from sqlalchemy import JSON, BigInteger, Column, Double, Index, Integer, MetaData, Table, Text

metadata = MetaData()

read_counts = Table(
    "read_counts",
    metadata,
    # How a side answered reads that a flag splits, as a worker told it at a time
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("phase", Text, nullable=False),
    Column("side", Text, nullable=False),
    Column("at", Double, nullable=False),
    # The minute that the row sums up; NULL while it is as it was told
    Column("minute", BigInteger),
    Column("answered", BigInteger, nullable=False),
    Column("failed", BigInteger, nullable=False),
    Column("milliseconds", JSON, nullable=False),
    Index("ix_read_counts_at", "at"),
)

traffic = Table(
    "traffic",
    metadata,
    # Requests by who answered them; of no phase where the name is empty
    Column("phase", Text, primary_key=True),
    Column("side", Text, primary_key=True),
    # Seconds that a slot is long, and where it begins in seconds since 1970
    Column("width", Integer, primary_key=True),
    Column("slot", BigInteger, primary_key=True),
    Column("requests", BigInteger, nullable=False),
)

monolith_hits = Table(
    "monolith_hits",
    metadata,
    # Requests to a phase's routes that the monolith answered
    Column("phase", Text, primary_key=True),
    Column("route", Text, primary_key=True),
    Column("requests", BigInteger, nullable=False),
    Column("last_at", Double, nullable=False),
)

stray_writes = Table(
    "stray_writes",
    metadata,
    # Writes that the guard of the monolith's tables has refused, as far as its database counts them
    Column("phase", Text, primary_key=True),
    Column("refused", BigInteger, nullable=False),
    # NULL until one was seen to be refused
    Column("last_at", Double),
)

shadow_counts = Table(
    "shadow_counts",
    metadata,
    Column("phase", Text, primary_key=True),
    Column("route", Text, primary_key=True),
    # The minute, in seconds since 1970
    Column("slot", BigInteger, primary_key=True),
    Column("eligible", BigInteger, nullable=False),
    Column("matched", BigInteger, nullable=False),
    Column("mismatched", BigInteger, nullable=False),
    Column("stale", BigInteger, nullable=False),
    Column("drops", JSON, nullable=False),
    Column("fields", JSON, nullable=False),
    Column("rules", JSON, nullable=False),
    Column("primary_ms", JSON, nullable=False),
    Column("shadow_ms", JSON, nullable=False),
    # How far replication was behind at stale reads
    Column("stale_ms", JSON, nullable=False, server_default="{}"),
)

shadow_noise = Table(
    "shadow_noise",
    metadata,
    # Requests that the monolith answered twice, and where it differed from itself
    Column("phase", Text, primary_key=True),
    Column("route", Text, primary_key=True),
    # The minute, in seconds since 1970
    Column("slot", BigInteger, primary_key=True),
    Column("pairs", BigInteger, nullable=False),
    Column("noisy", BigInteger, nullable=False),
    Column("fields", JSON, nullable=False),
)

shadow_samples = Table(
    "shadow_samples",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("phase", Text, nullable=False),
    Column("route", Text, nullable=False),
    # Where and how the answers differed, without their values
    Column("signature", Text, nullable=False),
    Column("at", Double, nullable=False),
    Column("sample", JSON, nullable=False),
    Index("ix_shadow_samples_kind", "phase", "route", "signature", "id"),
)
