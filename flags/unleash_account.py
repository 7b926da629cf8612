"""Where an Unleash server keeps the flags, and the right to read and to change them."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Account:
    """``token`` reads flags: a client's, of the environment. ``admin_token`` changes those of the project."""

    url: str
    project: str
    environment: str
    token: str = field(repr=False)
    admin_token: str = field(repr=False)
