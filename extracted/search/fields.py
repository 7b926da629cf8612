"""Field types of the HTTP interface: what a database column can hold, refused before it gets there."""

import json
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

_CENT = Decimal("0.01")
_NO_NUL = r"^[^\x00]*$"
_MAX_JSON = 16_384


def _to_cents(value: Decimal) -> Decimal:
    return (value + 0).quantize(_CENT)  # + 0 turns -0 into 0


def _json_object(value: object) -> object:
    if not isinstance(value, dict):
        return value
    try:
        size = len(json.dumps(value, allow_nan=False, ensure_ascii=False).encode())
    except ValueError as error:
        raise PydanticCustomError("json_object", "Numbers should be finite and text valid Unicode") from error
    if size > _MAX_JSON:
        raise PydanticCustomError(
            "json_object", "Object should have at most {limit} bytes", {"limit": _MAX_JSON}
        )
    return value


Text = Annotated[str, StringConstraints(pattern=_NO_NUL)]
Line = Annotated[str, StringConstraints(pattern=_NO_NUL, strip_whitespace=True, min_length=1, max_length=200)]
ClientRef = Annotated[str, StringConstraints(pattern=_NO_NUL, min_length=1, max_length=64)]
Price = Annotated[Decimal, Field(ge=0, max_digits=12, decimal_places=2), AfterValidator(_to_cents)]
JsonObject = Annotated[dict[str, Any], BeforeValidator(_json_object)]
Id = Annotated[int, Field(ge=1, le=2_147_483_647)]
Kind = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]*$", max_length=40)]
TagName = Annotated[
    Text, StringConstraints(strip_whitespace=True, min_length=1, max_length=40), AfterValidator(str.casefold)
]
QueryText = Annotated[Text, StringConstraints(max_length=200)]
