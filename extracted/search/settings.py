"""Where the database is and what the tokens are signed with, from ``SEARCH_*`` environment variables."""

import logging

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

# The monolith's development secret: out of the box, the service accepts the monolith's tokens.
DEVELOPMENT_SECRET = "development-only-secret-never-deploy-this-one"  # noqa: S105 - announced as unsafe at start

_log = logging.getLogger(__name__)


class Settings(BaseSettings):
    """``database`` is a SQLAlchemy URL; ``jwt_secret`` is the issuer's, of at least 32 characters."""

    model_config = SettingsConfigDict(env_prefix="SEARCH_", frozen=True)

    database: str = "sqlite:///search.db"
    jwt_secret: SecretStr = Field(default=SecretStr(DEVELOPMENT_SECRET), min_length=32)

    def warn_if_unsafe(self) -> None:
        """Log a warning when anybody could sign the tokens that are accepted."""
        if self.jwt_secret.get_secret_value() == DEVELOPMENT_SECRET:
            _log.warning("SEARCH_JWT_SECRET is not set: tokens are verified with a public secret")
