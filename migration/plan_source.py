"""The text of a plan: reading it, and telling on which line a value that was refused stands."""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from migration.errors import PlanError, Problem
from migration.plan_lines import Place, key_lines, line_of

ENVIRONMENT_PREFIX = "STRANGLER_"

_SECRETS: Mapping[str, str] = {
    "database_password": "database_password_file",
    "admin_token": "admin_token_file",
    "secret": "secret_file",
    "sasl_password": "sasl_password_file",
}


@dataclass(frozen=True, slots=True)
class Source:
    """A plan as read: its values, and where in the file they stand."""

    path: Path
    document: Mapping[str, Any]
    lines: Mapping[Place, int]

    def problem(self, place: Place, message: str) -> Problem:
        """``message`` about the value at ``place``, whether the file or the environment gave it."""
        variable = ENVIRONMENT_PREFIX + "__".join(str(part).upper() for part in place)
        if any(name.upper() == variable for name in os.environ):
            return Problem(None, f"environment variable {variable}", message)
        return Problem(line_of(place, self.lines), key_text(place), message)

    def unknown(self, place: Place, model: type[BaseModel], at: Place = ()) -> Problem:
        """That the key at ``place`` of a ``model`` does not exist, and which might have been meant.

        ``at`` is where the model stands.
        """
        key, known = str(place[-1]), _fields(model, place[:-1])
        close = get_close_matches(key, known, n=1)
        hint = f"Did you mean {close[0]!r}?" if close else f"Known here: {', '.join(known)}."
        return self.problem((*at, *place), f"there is no such key. {hint}")


def read(path: Path, kept: Path | None = None) -> Source:
    """Read a plan, or what was ``kept`` of it.

    Raises PlanError when there is none, or it is no TOML, or it holds a secret.
    """
    try:
        text = (kept or path).read_bytes().decode()
        document = tomllib.loads(text)
    except FileNotFoundError as error:
        remedy = "Write one with `strangler init`, or name another with --plan."
        raise PlanError(path, [Problem(None, "", f"there is no plan here. {remedy}")]) from error
    except OSError as error:
        raise PlanError(path, [Problem(None, "", f"cannot be read: {error.strerror}.")]) from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise PlanError(path, [Problem(line, "", "is not UTF-8 text. Save it in that encoding.")]) from error
    except tomllib.TOMLDecodeError as error:
        raise PlanError(path, [broken(str(error), text)]) from error
    source = Source(path, document, key_lines(text))
    if secrets := list(_secrets(document, (), source)):
        raise PlanError(path, secrets)
    return source


def problems(error: ValidationError, source: Source, model: type[BaseModel], at: Place = ()) -> list[Problem]:
    """What a validation found of the ``model`` that stands ``at`` a place, one problem for each place."""
    found: dict[Problem, None] = {}
    for details in error.errors(include_url=False):
        inner = tuple(part for part in details["loc"] if part != "[key]")
        unknown = details["type"] == "extra_forbidden"
        found[
            source.unknown(inner, model, at) if unknown else source.problem((*at, *inner), _message(details))
        ] = None
    return sorted(found, key=lambda problem: problem.line or 0)


def key_text(place: Place) -> str:
    """``phases[0].service.url``"""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return text.removeprefix(".")


def broken(message: str, text: str) -> Problem:
    """What the TOML reader said of ``text``."""
    found = re.search(r" \(at (?:line (\d+), column (\d+)|end of document)\)$", message)
    if found is None:
        return Problem(None, "", f"is not TOML: {message}.")
    line = int(found[1]) if found[1] else text.count("\n") + 1
    column = f" (column {found[2]})" if found[2] else " at the end of the file"
    return Problem(
        line, "", f"is not TOML: {message[: found.start()]}{column}. Check quotes, brackets and `=`."
    )


def _secrets(value: Any, place: Place, source: Source) -> list[Problem]:
    if isinstance(value, list):
        return [
            found for number, item in enumerate(value) for found in _secrets(item, (*place, number), source)
        ]
    if not isinstance(value, dict):
        return []
    return [
        found
        for key, item in value.items()
        for found in (
            [Problem(line_of((*place, key), source.lines), key_text((*place, key)), _secret_message(key))]
            if key in _SECRETS
            else _secrets(item, (*place, key), source)
        )
    ]


def _secret_message(key: str) -> str:
    return (
        "a plan holds no secrets: it is read by people and kept in version control. "
        f"Name a file that holds this one with `{_SECRETS[key]}`, or set it in the environment."
    )


def _message(details: ErrorDetails) -> str:
    match details["type"]:
        case "missing":
            return "is missing. Add it to this section."
        case "value_error":
            return str(details["ctx"]["error"])
        case "model_type" | "dict_type" | "model_attributes_type":
            return "should be a table of keys and values."
        case "tuple_type" | "list_type":
            return "should be a list: write it in square brackets."
        case _:
            return f"{details['msg'][0].lower()}{details['msg'][1:]}."


def _fields(model: type[BaseModel], place: Place) -> list[str]:
    """The keys that the section at ``place`` may have."""
    kind: Any = model
    for part in place:
        kind = _plain(kind)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            kind = kind.model_fields[str(part)].annotation
        else:
            kind = get_args(kind)[0 if isinstance(part, int) else 1]
    kind = _plain(kind)
    return sorted(kind.model_fields) if isinstance(kind, type) and issubclass(kind, BaseModel) else []


def _plain(kind: Any) -> Any:
    """A type without its annotations and without `| None`."""
    while get_origin(kind) in {Annotated, Union, UnionType}:
        kind = next(each for each in get_args(kind) if each is not NoneType)
    return kind
