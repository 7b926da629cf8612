"""The section of the plan that puts Kafka between the two databases."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from dual_write.kafka_settings import Brokers
from migration import plan_syntax
from migration.plan_base import Name, Section


def _addresses(value: object) -> object:
    """One address may stand without brackets."""
    return (value,) if isinstance(value, str) else value


def _prefix(text: str) -> str:
    """What the names of topics, groups and transactional ids begin with."""
    if not all(each.isascii() and (each.isalnum() or each in "._-") for each in text):
        raise ValueError(f"{text!r} cannot begin a topic's name. Use letters, digits, `.`, `_` and `-`.")
    return text


class Kafka(Section):
    """The brokers that carry changes between `strangler relay`s. Without this section none are needed."""

    bootstrap: Annotated[
        tuple[Annotated[str, AfterValidator(plan_syntax.address)], ...],
        BeforeValidator(_addresses),
        Field(min_length=1),
    ]
    topic_prefix: Annotated[Name, AfterValidator(_prefix)] = "strangler"
    partitions: int = Field(default=4, ge=1, le=1000)
    replication: int | None = Field(default=None, ge=1, le=100)
    protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    sasl_user: Name | None = None
    sasl_password: SecretStr | None = Field(default=None, exclude=True)
    sasl_password_file: Path | None = None
    ca: Path | None = None

    @model_validator(mode="after")
    def _login(self) -> Self:
        with_login = self.protocol.startswith("SASL_")
        if with_login != (self.sasl_mechanism is not None) or with_login != (self.sasl_user is not None):
            raise ValueError(
                f'`protocol` is "{self.protocol}". "SASL_SSL" and "SASL_PLAINTEXT" go with '
                "`sasl_mechanism`, `sasl_user` and a password; the others with none of them."
            )
        if with_login and self.sasl_password is None and self.sasl_password_file is None:
            raise ValueError(
                f"user {self.sasl_user!r} has no password. Give one in the environment as "
                "STRANGLER_KAFKA__SASL_PASSWORD, or name a file in `sasl_password_file`."
            )
        return self

    def brokers(self, directory: Path, password: str | None) -> Brokers:
        """The same as the data package takes it; files are relative to ``directory``."""
        return Brokers(
            bootstrap=self.bootstrap,
            topic_prefix=self.topic_prefix,
            partitions=self.partitions,
            replication=self.replication,
            protocol=self.protocol,
            mechanism=self.sasl_mechanism,
            user=self.sasl_user,
            password=password,
            ca=None if self.ca is None else str(directory / self.ca),
        )
