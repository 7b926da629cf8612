"""Where the database is and what signs the tokens, from ``MONOLITH_*`` environment variables."""

import logging

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

DEVELOPMENT_SECRET = "development-only-secret-never-deploy-this-one"  # noqa: S105 - announced as unsafe at start

_log = logging.getLogger(__name__)


class Settings(BaseSettings):
    """``database`` is a SQLAlchemy URL; ``jwt_secret`` signs with HS256 and has at least 32 characters."""

    model_config = SettingsConfigDict(env_prefix="MONOLITH_", frozen=True)

    database: str = "sqlite:///monolith.db"
    jwt_secret: SecretStr = Field(default=SecretStr(DEVELOPMENT_SECRET), min_length=32)

    def warn_if_unsafe(self) -> None:
        """Log a warning when tokens are signed with the secret that everybody can read here."""
        if self.jwt_secret.get_secret_value() == DEVELOPMENT_SECRET:
            _log.warning(
                "MONOLITH_JWT_SECRET is not set: tokens are signed with the public development secret"
            )
