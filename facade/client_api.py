"""The flags as Unleash's client API serves them, so that any Unleash SDK can follow the migration's."""

import secrets
from collections.abc import Callable, Mapping
from typing import Any

import orjson
from fastapi import APIRouter, Depends, Header, HTTPException, Response

Flags = Callable[[], tuple[int, Mapping[str, Any]]]
"""The control revision, and every flag in one document of Unleash's format."""


def client_api(flags: Flags, token: str) -> APIRouter:
    """Routes below ``/api/client``. A client sends ``token`` as Unleash's do, bare, or as a bearer token.

    What a client says of itself, ``register`` and ``metrics``, is taken and not kept: the facade counts.
    """

    def authorized(authorization: str = Header("")) -> None:
        given = authorization.strip().removeprefix("Bearer ").strip()
        if not secrets.compare_digest(given.encode(), token.encode()):
            raise HTTPException(401, "Send the admin token: Authorization: …")

    router = APIRouter(prefix="/api/client", dependencies=[Depends(authorized)])

    @router.get("/features")
    def features(if_none_match: str = Header("")) -> Response:
        try:
            revision, document = flags()
        except Exception as error:
            # An SDK goes on with what it has, and asks again.
            raise HTTPException(503, "The control database does not answer.") from error
        tag = f'"{revision}"'
        headers = {"ETag": tag, "Cache-Control": "no-cache"}
        if tag in (each.strip().removeprefix("W/") for each in if_none_match.split(",")):
            return Response(status_code=304, headers=headers)
        return Response(orjson.dumps(document), media_type="application/json", headers=headers)

    @router.post("/register", status_code=202)
    @router.post("/metrics", status_code=202)
    def taken() -> None:
        """Nothing is kept."""

    return router
