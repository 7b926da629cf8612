"""The small languages of the plan's values. Each function gives back the value it was given, made regular,
or raises ValueError saying what is wrong and what to write instead."""

import ipaddress
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import SecretStr
from sqlalchemy import make_url

from dual_write.database import normalised
from dual_write.errors import DataError
from facade.config import Upstream
from facade.errors import FacadeError
from facade.headers import may_be_set
from facade.routes import Route, RouteTable
from facade.routing_key import RoutingKey

_PHASE = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_FUNCTION = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
_HEADER = re.compile(r"[A-Za-z0-9-]{1,100}")
_METHOD = re.compile(r"[A-Z][A-Z-]*|\*")
_PARAMETER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)(:[a-z]+)?\}")
SECRETS_IN_QUERY = frozenset({"password", "sslpassword"})


def phase_name(text: str) -> str:
    if not _PHASE.fullmatch(text):
        raise ValueError(
            f"{text!r} cannot name a phase. Begin with a lower-case letter; use up to 40 lower-case letters, "
            "digits, `-` and `_`."
        )
    return text


def function(text: str) -> str:
    """``module:name``."""
    if not _FUNCTION.fullmatch(text):
        raise ValueError(f'{text!r} names no function. Write "module:function", as in "names:full_name".')
    return text


def origin(text: str) -> str:
    """``http://host:port``, without a trailing slash."""
    _understood(Upstream.parse, text)
    return text.rstrip("/")


def origins(value: object) -> str | tuple[str, ...]:
    """One origin, or a list of them."""
    if isinstance(value, str):
        return origin(value)
    if not isinstance(value, list | tuple) or not value or not all(isinstance(each, str) for each in value):
        raise ValueError('is neither a URL nor a list of them. Write "http://host:port", or several in [ ].')
    instances = tuple(origin(each) for each in value)
    if len(set(instances)) < len(instances):
        raise ValueError("an instance is listed twice. Name each once.")
    return instances


def address(text: str) -> str:
    """``host:port`` to listen on; port 0 lets the system choose."""
    parse_address(text)
    return text


def parse_address(text: str) -> tuple[str, int]:
    """The host and port of ``host:port`` or ``[ipv6]:port``."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"{text!r} is not host:port. Write for example 127.0.0.1:8080.")
    return host, int(port)


def network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError as error:
        raise ValueError(f"{error}. Write a network such as 10.0.0.0/8, or one address.") from error


def database(text: str) -> str:
    """A SQLAlchemy URL of SQLite or PostgreSQL, without a password and with the driver used here."""
    try:
        url = normalised(text)
    except (DataError, ValueError) as error:
        # The text itself is not repeated: it may hold a password.
        reason = str(error) if isinstance(error, DataError) else "write postgresql://user@host:5432/name"
        raise ValueError(f"is no usable database URL: {reason}.") from error
    if url.password is not None or SECRETS_IN_QUERY & url.query.keys():
        raise ValueError(
            "the URL holds a password, but a plan is read by people and kept in version control. Take it out "
            "and name a file that holds it with `database_password_file`. The environment can give it too: "
            "STRANGLER_MONOLITH__DATABASE_PASSWORD, STRANGLER_CONTROL__DATABASE_PASSWORD."
        )
    if url.get_backend_name() == "sqlite":
        if url.database in {None, "", ":memory:"}:
            raise ValueError("a database in memory cannot be shared by processes. Write sqlite:///file.db.")
        return str(url.set(drivername="sqlite"))
    return str(url)


def located(url: str, directory: Path) -> str:
    """``url`` with a relative SQLite file placed in ``directory``; any other URL as it is."""
    parsed = make_url(url)
    if (
        parsed.get_backend_name() != "sqlite"
        or parsed.database is None
        or parsed.database.startswith("file:")
    ):
        return url
    return str(parsed.set(database=str(directory / parsed.database)))


def with_password(url: str, password: SecretStr | None) -> str:
    """The URL to connect with. Never print it."""
    if password is None:
        return url
    return make_url(url).set(password=password.get_secret_value()).render_as_string(hide_password=False)


def method(text: str) -> str:
    """A request method in capitals, or ``*``."""
    if not _METHOD.fullmatch(text.upper()):
        raise ValueError(
            f"{text!r} is not a request method. Write GET, POST and so on, or * for all of them."
        )
    return text.upper()


def template(text: str) -> str:
    """A path as FastAPI writes it: ``/items/{id}``, ``/files/{name:path}``."""
    if any(each in text for each in "?# ") or not text.isprintable():
        raise ValueError(f"{text!r} is no path: it has blanks or a query. Write for example /items/{{id}}.")
    _understood(lambda path: RouteTable.compile([Route("*", path, None)]), text)
    return text


def part_name(text: str) -> str:
    """The name of a part of an answer; a header field lists those that failed."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}", text):
        raise ValueError(f"{text!r} cannot name a part. Use letters, digits, - and _, 63 at most.")
    return text


def parameters(path: str) -> frozenset[str]:
    """The names of a template's parameters."""
    return frozenset(found[1] for found in _PARAMETER.finditer(path))


def shape(path: str) -> str:
    """A template without its parameters' names: templates of one shape match the same requests alike."""
    nameless = _PARAMETER.sub(lambda found: f"{{{(found[2] or ':str')[1:]}}}", path)
    return "/".join(segment for segment in nameless.split("/") if segment)


def routing_key(text: str) -> str:
    """Where a request's routing key is found: ``jwt:sub``, ``header:X-User``, ``cookie:sid`` and so on."""
    _understood(RoutingKey.parse, text)
    return text


def target(text: str) -> str:
    """A path with its query, as it is asked for."""
    if not text.startswith("/") or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError(f"{text!r} is no path to ask for. Write for example /healthz.")
    return text


def web_address(text: str) -> str:
    """A URL of something that is fetched, without credentials in it."""
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username is not None:
        raise ValueError(
            "is no URL to fetch. Write for example https://login.shop.test/keys, without a user."
        )
    return text


def header(text: str) -> str:
    """The name of a header field that the facade may set."""
    if not _HEADER.fullmatch(text) or not may_be_set(text):
        raise ValueError(f"{text!r} is no header field that can carry a claim. Write for example X-User-Id.")
    return text


def _understood(parse: Callable[[str], object], text: str) -> None:
    """Let the facade judge what is the facade's to understand."""
    try:
        parse(text)
    except FacadeError as error:
        raise ValueError(str(error)) from error
