"""The sections of the plan for the facade's duties as a gateway."""

from math import ceil
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from facade import aggregate
from facade.config import Certificate, Trust
from facade.routes import Route
from migration import plan_syntax
from migration.plan_base import Name, Seconds, Section

PartName = Annotated[str, AfterValidator(plan_syntax.part_name)]


class Health(Section):
    """The active health check of a side's instances; seconds."""

    path: Annotated[str, AfterValidator(plan_syntax.target)]
    interval: Seconds = 5.0
    timeout: Seconds = 2.0


class Pair(Section):
    """PEM files, relative to the plan: a certificate with its chain, and its key."""

    certificate: Path
    key: Path

    def at(self, directory: Path) -> Certificate:
        """The same as the facade takes it."""
        return Certificate(str(directory / self.certificate), str(directory / self.key))


class ServerTls(Section):
    """TLS to a side: who may sign its certificate (``ca``, a PEM file), what is shown to it, and whether it
    is verified at all."""

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    verify: bool = True

    @model_validator(mode="after")
    def _pair(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("`certificate` and `key` go together. Name both files, or neither.")
        return self

    def at(self, directory: Path) -> Trust:
        """The same as the facade takes it."""
        shown = (
            Pair(certificate=self.certificate, key=self.key).at(directory)
            if self.certificate is not None and self.key is not None
            else None
        )
        return Trust(None if self.ca is None else str(directory / self.ca), shown, self.verify)


class Server(Section):
    """Where a side is: one instance, or several that are all alike.

    ``max_concurrent`` is how many requests this host has there at a time. ``host`` is the name that it is
    called by in the Host field: the client's, or its own.
    """

    url: Annotated[str | tuple[str, ...], BeforeValidator(plan_syntax.origins)]
    max_concurrent: int | None = Field(default=None, ge=1)
    health: Health | None = None
    tls: ServerTls | None = None
    host: Literal["keep", "upstream"] = "keep"

    @property
    def urls(self) -> tuple[str, ...]:
        """The instances."""
        return (self.url,) if isinstance(self.url, str) else self.url

    @model_validator(mode="after")
    def _secure(self) -> Self:
        if self.tls is not None and not all(url.startswith("https://") for url in self.urls):
            raise ValueError(
                "`tls` is for instances whose `url` begins with https://. Write it so, or leave `tls` out."
            )
        return self


class RateLimit(Section):
    """Requests a second and at once, for each client: its address or its routing key."""

    rate: float = Field(gt=0, le=1_000_000)
    burst: int | None = Field(default=None, ge=1, le=1_000_000)
    by: Literal["address", "key"] = "address"

    @property
    def at_once(self) -> int:
        """The burst, by default what comes in a second."""
        return self.burst if self.burst is not None else max(1, ceil(self.rate))


class Aggregate(Section):
    """A path that other paths answer together: the parts of the answer by name, asked all at once.

    ``timeout`` in seconds, for all of them; ``max_body`` in bytes, for each.
    """

    path: Annotated[str, AfterValidator(plan_syntax.template)]
    parts: dict[PartName, Annotated[str, AfterValidator(plan_syntax.template)]] = Field(
        min_length=1, max_length=aggregate.MOST_PARTS
    )
    timeout: Seconds = aggregate.PATIENCE
    max_body: int = Field(default=aggregate.MOST, ge=1, le=16 * aggregate.MOST)

    @property
    def name(self) -> str:
        return f"GET {self.path}"

    @model_validator(mode="after")
    def _known_parameters(self) -> Self:
        known = plan_syntax.parameters(self.path)
        for name, path in self.parts.items():
            if strange := sorted(plan_syntax.parameters(path) - known):
                raise ValueError(
                    f"the part {name!r} has a parameter {{{strange[0]}}} that `path` has not. "
                    f"Take it from {self.path}."
                )
        return self

    def route(self) -> Route:
        """The same as the facade takes it."""
        made = aggregate.Aggregate(tuple(self.parts.items()), self.timeout, self.max_body)
        return Route("GET", self.path, None, "read", name=self.name, aggregate=made)


class Secret(Section):
    """A secret, from the environment or a file, never from the plan."""

    secret: SecretStr | None = Field(default=None, exclude=True)
    secret_file: Path | None = None


class Tokens(Secret):
    """Which bearer tokens (JWT) are good, and which of their claims go on in which header fields."""

    algorithms: tuple[Literal["HS256", "RS256", "ES256"], ...] = Field(min_length=1)
    jwks: Annotated[str, AfterValidator(plan_syntax.web_address)] | None = None
    refresh: Seconds = 300.0
    issuer: Name | None = None
    audience: Name | None = None
    leeway: float = Field(default=30.0, ge=0, le=3600)
    forward: dict[Name, Annotated[str, AfterValidator(plan_syntax.header)]] = Field(default_factory=dict)
    forward_token: bool = True

    @model_validator(mode="after")
    def _keys(self) -> Self:
        given = self.secret is not None or self.secret_file is not None
        if ("HS256" in self.algorithms) != given:
            raise ValueError(
                "HS256 and a secret go together. Name a file that holds it with `secret_file`, or set "
                "STRANGLER_FACADE__JWT__SECRET; leave both out for keys from `jwks`."
            )
        if bool({"RS256", "ES256"} & set(self.algorithms)) != (self.jwks is not None):
            raise ValueError("RS256 and ES256 take their keys from `jwks`, and nothing else does.")
        return self


class Override(Secret):
    """Who may choose the side that answers a read: whoever has a token signed with this secret."""

    @model_validator(mode="after")
    def _signed(self) -> Self:
        if self.secret is None and self.secret_file is None:
            raise ValueError(
                "an override needs a secret. Name a file that holds it with `secret_file`, or set "
                "STRANGLER_FACADE__OVERRIDE__SECRET."
            )
        return self
