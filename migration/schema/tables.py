"""The control database: where the migration stands, who acts on it, and what its checks found.

Times are seconds since 1970 by the control database's own clock (`Control.now`), so that several hosts agree.
"""

from sqlalchemy import JSON, BigInteger, Boolean, Column, Double, Index, Integer, MetaData, Table, Text, false

metadata = MetaData()

identity = Table(
    "control_identity",
    metadata,
    # One row: tells this control database from another that took its place
    Column("id", Text, primary_key=True),
)

phases = Table(
    "phases",
    metadata,
    Column("name", Text, primary_key=True),
    Column("stage", Text, nullable=False),
    Column("writer", Text, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    # Both sides write, each the routing keys that the flag says
    Column("split", Boolean, nullable=False, server_default=false()),
    # The run whose fence is up
    Column("hold", Text),
    Column("stage_since", Double, nullable=False),
    # Shadow traffic counts from here on
    Column("evidence_since", Double, nullable=False),
)

journal = Table(
    "journal",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("run", Text, nullable=False, index=True),
    Column("phase", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("step", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("detail", JSON, nullable=False),
    Column("at", Double, nullable=False),
)

runs = Table(
    "runs",
    metadata,
    Column("run", Text, primary_key=True),
    Column("phase", Text, nullable=False),
    Column("kind", Text, nullable=False),
    # NULL while the run is unfinished
    Column("outcome", Text),
    # Past its point of no return
    Column("committed", Boolean, nullable=False),
    Column("intent", JSON, nullable=False),
    Column("actor", Text, nullable=False),
    Column("started", Double, nullable=False),
    Column("ended", Double),
)

walks = Table(
    "walks",
    metadata,
    # One walk through a phase's runbook, over as many runs as it takes
    Column("walk", Text, primary_key=True),
    Column("phase", Text, nullable=False, index=True),
    Column("runbook", Text, nullable=False),
    # NULL while the walk is unfinished
    Column("outcome", Text),
    Column("started", Double, nullable=False),
    Column("ended", Double),
)

walk_journal = Table(
    "walk_journal",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("walk", Text, nullable=False, index=True),
    Column("step", Text, nullable=False),
    Column("event", Text, nullable=False),
    # The step's state from then on
    Column("state", Text, nullable=False),
    Column("detail", JSON, nullable=False),
    Column("actor", Text, nullable=False),
    Column("at", Double, nullable=False),
)

leases = Table(
    "leases",
    metadata,
    Column("name", Text, primary_key=True),
    # NULL when free; the row stays, because the token only grows
    Column("holder", Text),
    Column("token", BigInteger, nullable=False),
    Column("expires_at", Double, nullable=False),
)

workers = Table(
    "workers",
    metadata,
    Column("worker", Text, primary_key=True),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("holding", JSON, nullable=False),
    Column("in_flight", JSON, nullable=False),
    Column("degraded", Text),
    Column("seen_at", Double, nullable=False),
)

check_progress = Table(
    "check_progress",
    metadata,
    # How far an unfinished check of a phase has come, a row for each table and direction
    Column("phase", Text, primary_key=True),
    Column("direction", Text, primary_key=True),
    Column("flow", Text, primary_key=True),
    Column("started", Double, nullable=False),
    Column("at", Double, nullable=False),
    Column("state", Text, nullable=False),
)

check_runs = Table(
    "check_runs",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("phase", Text, nullable=False),
    Column("clean", Boolean, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("findings", BigInteger, nullable=False),
    Column("covers", Text, nullable=False),
    Column("started", Double, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("detail", JSON, nullable=False),
    Index("ix_check_runs_phase_started", "phase", "started"),
)

consents = Table(
    "consents",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("phase", Text, nullable=False),
    Column("kind", Text, nullable=False),
    # A stage to go to, or reads or writes with the share (in 1/10,000) to rise to
    Column("step", Text, nullable=False),
    Column("share", Integer),
    # What a confirmation confirms
    Column("point", Text, nullable=False),
    # The hash of the plan for which it was given
    Column("plan", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Index("ix_consents_phase_at", "phase", "at"),
)

takebacks = Table(
    "takebacks",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("phase", Text, nullable=False, index=True),
    Column("at", Double, nullable=False),
    # The share of the reads that was taken back, in 1/10,000
    Column("share", Integer, nullable=False),
    Column("test", Text, nullable=False),
    Column("reason", Text, nullable=False),
    # NULL until it is written down
    Column("evidence", JSON(none_as_null=True)),
    # NULL while nobody has looked: until then no share is raised
    Column("acknowledged_at", Double),
    Column("acknowledged_by", Text),
    Column("note", Text),
)

hook_results = Table(
    "hook_results",
    metadata,
    # What a hook said last, before or after which step, by which plan
    Column("phase", Text, primary_key=True),
    Column("hook", Text, primary_key=True),
    Column("step", Text, nullable=False),
    Column("plan", Text, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", Double, nullable=False),
)

ramps = Table(
    "ramps",
    metadata,
    Column("phase", Text, primary_key=True),
    Column("state", Text, nullable=False),
    # What the steps last set, in 1/10,000, and when
    Column("share", Integer, nullable=False),
    Column("since", Double, nullable=False),
    # Why it waits, in words
    Column("said", Text, nullable=False),
)

heartbeats = Table(
    "replication_heartbeats",
    metadata,
    Column("phase", Text, primary_key=True),
    # The side the changes go to
    Column("direction", Text, primary_key=True),
    Column("lag_changes", BigInteger, nullable=False),
    Column("lag_seconds", Double, nullable=False),
    Column("horizon_seconds", Double, nullable=False),
    Column("captured", BigInteger, nullable=False),
    Column("applied", BigInteger, nullable=False),
    Column("pending", BigInteger, nullable=False),
    Column("parked", BigInteger, nullable=False),
    Column("at", Double, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", Double, nullable=False),
    Column("who", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("before", JSON, nullable=False),
    Column("after", JSON, nullable=False),
    # Binds the entry to all before it (`migration.audit`)
    Column("hash", Text, nullable=False, server_default=""),
)
