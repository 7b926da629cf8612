"""Reading and writing which tags resources carry."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import delete, insert, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from monolith.resources.models import ResourceTag, Tag


def tags_of(session: Session, resources: Collection[int]) -> Mapping[int, Sequence[str]]:
    """The tag names of each of ``resources`` (ids), sorted by code point, which no collation changes."""
    rows = session.execute(
        select(ResourceTag.resource_id, Tag.name)
        .join(Tag, Tag.id == ResourceTag.tag_id)
        .where(ResourceTag.resource_id.in_(resources))
    )
    names: dict[int, list[str]] = defaultdict(list)
    for resource, name in rows:
        names[resource].append(name)
    return {resource: sorted(names[resource]) for resource in resources}


def set_tags(session: Session, resource: int, names: Collection[str]) -> None:
    """Make ``names`` the tags of ``resource``, creating those that nobody has used yet."""
    wanted = _tag_ids(session, names)
    present = set(session.scalars(select(ResourceTag.tag_id).where(ResourceTag.resource_id == resource)))
    if gone := present - wanted:
        session.execute(
            delete(ResourceTag).where(ResourceTag.resource_id == resource, ResourceTag.tag_id.in_(gone))
        )
    if new := wanted - present:
        session.execute(
            insert(ResourceTag), [{"resource_id": resource, "tag_id": tag} for tag in sorted(new)]
        )


def _tag_ids(session: Session, names: Collection[str]) -> set[int]:
    if not names:
        return set()
    known = select(Tag.name, Tag.id).where(Tag.name.in_(names))
    missing = sorted(set(names) - {name for name, _ in session.execute(known)})
    if missing:
        # Two requests may bring the same new tag; sorted, they cannot wait for each other in a circle.
        rows = [{"name": name} for name in missing]
        if session.get_bind().dialect.name == "postgresql":
            session.execute(postgresql.insert(Tag).on_conflict_do_nothing(), rows)
        else:
            session.execute(sqlite.insert(Tag).on_conflict_do_nothing(), rows)
    return {tag for _, tag in session.execute(known)}
