"""Rows for every table, made from a seed alone: the same seed and sizes give the same rows."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from monolith import vocabulary
from monolith.auth.passwords import hash_password
from monolith.models import (
    AuditEntry,
    Base,
    File,
    Job,
    Resource,
    ResourceTag,
    SavedSearch,
    Tag,
    User,
    UserSession,
)
from monolith.search.terms import searchable

PASSWORD = "seeded-password"  # noqa: S105 - of generated users, so that tests can log in

_START = datetime(2016, 1, 4, 9, 0, tzinfo=UTC)
_CHEAP = 500  # iterations; a thousand users should not cost seconds

TableRows = tuple[type[Base], Sequence[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many rows the leading tables get; the others follow from these."""

    resources: int
    users: int
    saved_searches: int

    def __post_init__(self) -> None:
        if self.users < 1 or self.resources < 0 or self.saved_searches < 0:
            raise ValueError("at least one user must own the rows, and no size may be negative")


def generate(seed: int, sizes: Sizes) -> Iterator[TableRows]:
    """Each table with its rows, parents before children; ids count from 1."""
    users, resources = sizes.users, sizes.resources
    rng = Random(seed)  # noqa: S311 - makes rows, not secrets
    yield User, [_user(rng, n) for n in range(1, users + 1)]
    yield UserSession, [_session(n, users) for n in range(1, users + 1)]
    names = sorted({*vocabulary.ADJECTIVES, *(word.casefold() for word in vocabulary.AWKWARD)})
    yield Tag, [{"id": n, "name": name} for n, name in enumerate(names, 1)]
    yield Resource, [_resource(rng, n, users) for n in range(1, resources + 1)]
    yield (
        ResourceTag,
        [
            {"resource_id": n, "tag_id": tag}
            for n in range(1, resources + 1)
            for tag in sorted(rng.sample(range(1, len(names) + 1), rng.randrange(5)))
        ],
    )
    yield File, [_file(rng, n, resources, users) for n in range(1, resources // 4 + 1)]
    yield SavedSearch, [_saved_search(rng, n, users) for n in range(1, sizes.saved_searches + 1)]
    yield Job, [_job(rng, n, resources, users) for n in range(1, resources // 20 + 1)]
    yield AuditEntry, [_audit_entry(rng, n, resources, users) for n in range(1, resources // 2 + 1)]


def _user(rng: Random, n: int) -> dict[str, Any]:
    return {
        "id": n,
        "email": f"user{n}@example.com",
        "name": f"{rng.choice(vocabulary.ADJECTIVES).title()} {rng.choice((*vocabulary.NOUNS, 'Åse', '李'))}",
        "password_hash": hash_password(PASSWORD, rng.randbytes(16), _CHEAP),
        "is_active": True,
        "preferences": rng.choice(
            (None, {}, {"theme": "dark", "per_page": 50}, {"größe": [1, 2.5, None, True]})
        ),
        "created_at": _at(n),
        "last_login_at": rng.choice((None, _at(n + 1000))),
    }


def _session(n: int, users: int) -> dict[str, Any]:
    return {
        "id": n,
        "user_id": n,
        "token_hash": hashlib.sha256(f"session {n} of {users}".encode()).hexdigest(),
        "user_agent": None if n % 3 else "Mozilla/5.0 (seeded)",
        "created_at": _at(n),
        "expires_at": _at(n) + timedelta(days=30),
        "revoked_at": None if n % 2 else _at(n) + timedelta(days=1),
    }


def _resource(rng: Random, n: int, users: int) -> dict[str, Any]:
    title = f"{rng.choice(vocabulary.ADJECTIVES).title()} {rng.choice(vocabulary.NOUNS)}"
    if n % 10 == 0:
        title = f"{title} {rng.choice(vocabulary.AWKWARD)}"
    body = None if rng.random() < 0.05 else _prose(rng)
    created = _at(n)
    updated = created + timedelta(seconds=rng.randrange(10**7), microseconds=rng.randrange(10**6))
    return {
        "id": n,
        "owner_id": rng.randrange(users) + 1,
        "kind": rng.choice(vocabulary.KINDS),
        "title": title,
        "body": body,
        "search_text": searchable(title, body),
        "price": None if rng.random() < 0.1 else _price(rng),
        "details": rng.choice((None, {}, _metadata(rng))),
        "client_ref": None if rng.random() < 0.5 else f"seed-{n}",
        "version": rng.randrange(1, 6),
        "created_at": created,
        "updated_at": updated,
        "deleted_at": updated if rng.random() < 0.08 else None,
    }


def _file(rng: Random, n: int, resources: int, users: int) -> dict[str, Any]:
    digest = f"{rng.getrandbits(256):064x}"
    return {
        "id": n,
        "resource_id": rng.randrange(resources) + 1,
        "uploaded_by": rng.randrange(users) + 1,
        "name": f"{rng.choice(vocabulary.NOUNS)}-{n}",
        "media_type": rng.choice(vocabulary.MEDIA_TYPES),
        "size_bytes": rng.choice((0, rng.randrange(10**6), rng.randrange(2**40))),
        "sha256": rng.choice((None, digest)),
        "location": f"s3://files/{digest[:2]}/{digest}",
        "created_at": _at(n),
    }


def _saved_search(rng: Random, n: int, users: int) -> dict[str, Any]:
    created = _at(n)
    return {
        "id": n,
        "user_id": rng.randrange(users) + 1,
        "name": f"{rng.choice(vocabulary.ADJECTIVES)} things {n}",
        "query": " ".join(rng.sample((*vocabulary.NOUNS, *vocabulary.AWKWARD), rng.randrange(3))),
        "filters": rng.choice(
            (None, {}, {"kind": rng.choice(vocabulary.KINDS), "größe": [1, 2.5, None, True]})
        ),
        "threshold": None if rng.random() < 0.3 else _price(rng),
        "notify": rng.random() < 0.5,
        "note": rng.choice((None, "", "für später 🌿", _prose(rng))),
        "legacy_rank": rng.choice((None, rng.randrange(100))),
        "client_ref": rng.choice((None, f"seed-{n}")),
        "version": rng.randrange(1, 4),
        "created_at": created,
        "updated_at": created + timedelta(seconds=rng.randrange(10**6), microseconds=rng.randrange(10**6)),
    }


def _job(rng: Random, n: int, resources: int, users: int) -> dict[str, Any]:
    state = rng.choice(("queued", "done", "failed"))
    ended = state != "queued"
    return {
        "id": n,
        "kind": rng.choice(("thumbnail", "export", "reindex")),
        "payload": rng.choice((None, {"attempt": n})),
        "state": state,
        "enqueued_by": rng.randrange(users) + 1,
        "resource_id": rng.choice((None, rng.randrange(resources) + 1)),
        "run_after": _at(n),
        "worker": "worker-1" if ended else None,
        "attempts": int(ended),
        "error": "disk full" if state == "failed" else None,
        "created_at": _at(n),
        "finished_at": _at(n + 1) if ended else None,
    }


def _audit_entry(rng: Random, n: int, resources: int, users: int) -> dict[str, Any]:
    return {
        "id": n,
        "actor_id": rng.choice((None, rng.randrange(users) + 1)),
        "action": rng.choice(vocabulary.EVENTS),
        "entity": "resource",
        "entity_id": rng.randrange(resources) + 1,
        "details": rng.choice((None, {"version": rng.randrange(5)})),
        "created_at": _at(n),
    }


def _prose(rng: Random) -> str:
    words = rng.choices((*vocabulary.NOUNS, *vocabulary.ADJECTIVES), k=rng.randrange(8, 30))
    if rng.random() < 0.05:
        words.append(rng.choice(vocabulary.AWKWARD))
    return " ".join(words).capitalize() + "."


def _price(rng: Random) -> Decimal:
    """Now and then the column's largest value, and otherwise what things cost."""
    cents = 10**12 - 1 if rng.random() < 0.001 else rng.randrange(500_000)
    return Decimal(cents).scaleb(-2)


def _metadata(rng: Random) -> dict[str, Any]:
    return {
        "material": rng.choice(vocabulary.MATERIALS),
        "weight": rng.randrange(1, 10**6) / 1000,
        "maße": {"w": rng.randrange(300), "h": rng.randrange(300)},
        "tags": rng.sample(vocabulary.NOUNS, 2),
        "big": 2**60 + rng.randrange(100),
    }


def _at(n: int) -> datetime:
    return _START + timedelta(minutes=n)
