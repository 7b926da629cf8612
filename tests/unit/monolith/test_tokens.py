from datetime import UTC, datetime, timedelta

import jwt
import pytest

from monolith.auth.tokens import TokenError, Tokens

SECRET = "a-secret-of-at-least-thirty-two-characters"
TOKENS = Tokens(SECRET)


def test_a_token_names_the_user_it_was_issued_to() -> None:
    token = TOKENS.issue(42, datetime.now(UTC))
    assert TOKENS.verify(token) == 42
    assert jwt.decode(token, SECRET, algorithms=["HS256"])["sub"] == "42"


def test_an_expired_token_says_so() -> None:
    token = TOKENS.issue(42, datetime.now(UTC) - timedelta(hours=2))
    with pytest.raises(TokenError, match="expired"):
        TOKENS.verify(token)


@pytest.mark.parametrize("subject", ["0", "-1", "4.2", "abc", "", "٤٢", "1" * 11])
def test_a_subject_that_is_no_user_id_is_refused(subject: str) -> None:
    claims = {"sub": subject, "exp": datetime.now(UTC) + timedelta(hours=1)}
    with pytest.raises(TokenError):
        TOKENS.verify(jwt.encode(claims, SECRET, algorithm="HS256"))


def test_foreign_signatures_and_other_algorithms_are_refused() -> None:
    claims = {"sub": "1", "exp": datetime.now(UTC) + timedelta(hours=1)}
    other = "b" * 64
    for token in (
        jwt.encode(claims, other, algorithm="HS256"),
        jwt.encode(claims, SECRET + other, algorithm="HS512"),
        jwt.encode(claims, None, algorithm="none"),
        jwt.encode({"sub": "1"}, SECRET, algorithm="HS256"),
        "not.a.token",
    ):
        with pytest.raises(TokenError, match="Invalid token"):
            TOKENS.verify(token)
