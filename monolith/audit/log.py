"""Writing the audit log, in the transaction of what it records."""

from typing import Any

from sqlalchemy.orm import Session

from monolith.audit.models import AuditEntry
from monolith.base import now


def record(
    session: Session,
    actor_id: int | None,
    action: str,
    entity: str,
    entity_id: int,
    *,
    details: dict[str, Any] | None = None,
) -> None:
    """Add one entry; it is kept if and only if the session commits."""
    session.add(
        AuditEntry(
            actor_id=actor_id,
            action=action,
            entity=entity,
            entity_id=entity_id,
            details=details,
            created_at=now(),
        )
    )
