"""Registration, login, refresh, logout, and what a user may see of their account."""

import hashlib
import secrets
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Header, HTTPException, Query
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from monolith.audit.log import record
from monolith.auth.models import User, UserSession
from monolith.auth.passwords import hash_password, verify_password
from monolith.auth.schemas import Credentials, Profile, RefreshToken, Registration, SessionEntry, TokenPair
from monolith.auth.tokens import LIFETIME, Tokens
from monolith.base import now
from monolith.dependencies import Data, Issuer, UserId
from monolith.pages import Page, Paging, fetch

SESSION_LIFETIME = timedelta(days=30)

router = APIRouter(prefix="/auth", tags=["auth"])


@router.post("/register", status_code=201)
def register(body: Registration, data: Data) -> Profile:
    user = User(
        email=body.email,
        name=body.name,
        password_hash=hash_password(body.password, secrets.token_bytes(16)),
        is_active=True,
        preferences=body.preferences,
        created_at=now(),
    )
    try:
        with data.writing() as session:
            session.add(user)
            session.flush()
            record(session, user.id, "user.registered", "user", user.id)
    except IntegrityError as error:
        raise HTTPException(409, "Email is already registered") from error
    return Profile.model_validate(user)


@router.post("/login")
def login(
    body: Credentials, data: Data, tokens: Issuer, user_agent: Annotated[str | None, Header()] = None
) -> TokenPair:
    with data.reading() as session:
        user = session.scalar(select(User).where(User.email == body.email))
    # Hashing takes milliseconds: it must not happen while the one SQLite writer's place is taken.
    if user is None or not verify_password(body.password, user.password_hash) or not user.is_active:
        raise HTTPException(401, "Wrong email or password", {"WWW-Authenticate": "Bearer"})
    with data.writing() as session:
        session.execute(update(User).where(User.id == user.id).values(last_login_at=now()))
        record(session, user.id, "user.logged_in", "user", user.id)
        return _open_session(session, tokens, user.id, user_agent)


@router.post("/refresh")
def refresh(body: RefreshToken, data: Data, tokens: Issuer) -> TokenPair:
    with data.writing() as session:
        old = session.scalar(
            select(UserSession).where(UserSession.token_hash == _digest(body.refresh_token)).with_for_update()
        )
        if old is None or old.revoked_at is not None or old.expires_at <= now():
            raise HTTPException(401, "Session has ended", {"WWW-Authenticate": "Bearer"})
        old.revoked_at = now()
        return _open_session(session, tokens, old.user_id, old.user_agent)


@router.post("/logout", status_code=204)
def logout(body: RefreshToken, user_id: UserId, data: Data) -> None:
    with data.writing() as session:
        own = session.scalar(
            select(UserSession).where(
                UserSession.token_hash == _digest(body.refresh_token), UserSession.user_id == user_id
            )
        )
        if own is not None and own.revoked_at is None:
            own.revoked_at = now()
            record(session, user_id, "user.logged_out", "session", own.id)


@router.get("/me")
def me(user_id: UserId, data: Data) -> Profile:
    with data.reading() as session:
        user = session.get(User, user_id)
    if user is None:
        raise HTTPException(404, "User not found")
    return Profile.model_validate(user)


@router.get("/sessions")
def sessions(query: Annotated[Paging, Query()], user_id: UserId, data: Data) -> Page[SessionEntry]:
    found = select(UserSession).where(UserSession.user_id == user_id)
    with data.reading() as session:
        rows, total = fetch(session, found, UserSession.id.desc(), query)
    items = [SessionEntry.model_validate(row) for row in rows]
    return Page[SessionEntry](items=items, total=total, limit=query.limit, offset=query.offset)


def _open_session(session: Session, tokens: Tokens, user_id: int, user_agent: str | None) -> TokenPair:
    at = now()
    token = secrets.token_urlsafe(32)
    session.add(
        UserSession(
            user_id=user_id,
            token_hash=_digest(token),
            user_agent=user_agent and user_agent[:400],
            created_at=at,
            expires_at=at + SESSION_LIFETIME,
        )
    )
    return TokenPair(
        access_token=tokens.issue(user_id, at),
        refresh_token=token,
        expires_in=int(LIFETIME.total_seconds()),
    )


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
