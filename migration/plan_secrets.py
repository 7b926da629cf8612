"""Secrets that the plan only points to: passwords in files, and the token of the admin port."""

import os
import secrets
from pathlib import Path
from typing import TypeVar

from pydantic import SecretStr

from flags.unleash_account import Account
from migration.errors import MigrationError
from migration.plan_flags import Flags
from migration.plan_gateway import Secret
from migration.plan_kafka import Kafka
from migration.plan_sections import Database, Facade
from migration.plan_syntax import located

_D = TypeVar("_D", bound=Database)


def settled(section: _D, directory: Path) -> _D:
    """The section with its SQLite file and its password found, relative to ``directory``.

    Raises MigrationError when the password's file cannot be read.
    """
    update: dict[str, object] = {}
    if section.database is not None:
        update["database"] = located(section.database, directory)
    if section.database_password is None and section.database_password_file is not None:
        update["database_password"] = SecretStr(_read(directory / section.database_password_file))
    return section.model_copy(update=update)


def secret(section: Secret, directory: Path) -> str:
    """The section's secret. Raises MigrationError when its file cannot be read."""
    if section.secret is not None:
        return section.secret.get_secret_value()
    assert section.secret_file is not None  # noqa: S101 - the plan refuses a section without either
    return _read(directory / section.secret_file)


def token_of(file: Path) -> str:
    """The token in a file. Raises MigrationError when it cannot be read."""
    return _read(file)


def kafka_password(section: Kafka, directory: Path) -> str | None:
    """The password for the brokers, None without SASL. Raises MigrationError when a file cannot be read."""
    if section.sasl_password is not None:
        return section.sasl_password.get_secret_value()
    return None if section.sasl_password_file is None else _read(directory / section.sasl_password_file)


def unleash_account(section: Flags, directory: Path) -> Account | None:
    """The Unleash server with its tokens, None without one. Raises MigrationError for a token's file."""
    unleash = section.unleash
    if unleash is None:
        return None

    def token(given: SecretStr | None, file: Path | None) -> str:
        if given is not None:
            return given.get_secret_value()
        assert file is not None  # noqa: S101 - the plan refuses a section without either
        return _read(directory / file)

    return Account(
        url=unleash.url,
        project=unleash.project,
        environment=unleash.environment,
        token=token(unleash.token, unleash.token_file),
        admin_token=token(unleash.admin_token, unleash.admin_token_file),
    )


def admin_token(facade: Facade, directory: Path) -> str:
    """The admin port's bearer token: the given one, or one kept in ``.strangler/admin-token``.

    The latter is made on first use, readable by its owner only. Raises MigrationError.
    """
    if facade.admin_token is not None:
        return facade.admin_token.get_secret_value()
    if facade.admin_token_file is not None:
        return _read(directory / facade.admin_token_file)
    kept = directory / ".strangler" / "admin-token"
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _read(kept)
    except OSError as error:
        raise MigrationError(
            f"the admin token cannot be kept in {kept}: {error.strerror}. Give one in the environment as "
            "STRANGLER_FACADE__ADMIN_TOKEN, or in a file named by `admin_token_file`."
        ) from error
    token = secrets.token_urlsafe(32)
    with os.fdopen(descriptor, "w") as file:
        file.write(token + "\n")
    return token


def _read(file: Path) -> str:
    try:
        text = file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not text"
        raise MigrationError(
            f"{file} cannot be read: {reason}. Create it, or correct its name in the plan."
        ) from error
    if not text:
        raise MigrationError(f"{file} is empty. Write the secret into it, on one line.")
    return text
