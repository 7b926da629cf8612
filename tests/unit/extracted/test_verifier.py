from datetime import UTC, datetime, timedelta

import pytest

from extracted.search import settings
from extracted.search.tokens import TokenError, Verifier
from monolith.auth.tokens import Tokens
from monolith.settings import DEVELOPMENT_SECRET

SECRET = "a-secret-of-at-least-thirty-two-characters"


def test_the_monoliths_tokens_are_accepted_without_asking_it() -> None:
    assert Verifier(SECRET).user_id(Tokens(SECRET).issue(42, datetime.now(UTC))) == 42


def test_expired_and_foreign_tokens_are_refused_in_the_monoliths_words() -> None:
    expired = Tokens(SECRET).issue(42, datetime.now(UTC) - timedelta(hours=2))
    foreign = Tokens("x" * 40).issue(42, datetime.now(UTC))
    for token in (expired, foreign, "nonsense"):
        with pytest.raises(TokenError) as ours:
            Verifier(SECRET).user_id(token)
        with pytest.raises(Exception, match=str(ours.value)):
            Tokens(SECRET).verify(token)


def test_both_apps_share_the_development_secret() -> None:
    assert settings.DEVELOPMENT_SECRET == DEVELOPMENT_SECRET
