"""The admin port: is the facade alive, is it ready, what does it count. Never on the data path."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fastapi import Depends, FastAPI, Header, HTTPException, Response

from facade.health_report import services
from facade.metrics import CONTENT_TYPE, exposition


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether requests are served, and ``degraded``: why what is served may be old, if it may be."""

    ready: bool
    workers: int
    degraded: str | None = None


def admin_app(
    readiness: Callable[[], Readiness], metrics: str, token: str, others: Callable[[], bytes] = bytes
) -> FastAPI:
    """The application for the admin port. ``metrics`` is the directory of FacadeConfig.metrics; ``others``
    tells further metrics in Prometheus's text format.
    """

    def authorized(authorization: str = Header("")) -> None:
        scheme, _, given = authorization.partition(" ")
        if scheme.lower() != "bearer" or not secrets.compare_digest(given.strip().encode(), token.encode()):
            raise HTTPException(
                401,
                "Send the admin token: Authorization: Bearer …",
                headers={"WWW-Authenticate": "Bearer"},
            )

    app = FastAPI(title="Strangler facade", docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/-/healthz")
    def healthz() -> dict[str, str]:
        return {"status": "alive"}

    @app.get("/-/readyz")
    def readyz(response: Response) -> dict[str, object]:
        state = readiness()
        if not state.ready:
            response.status_code = 503
        return {
            "status": "ready" if state.ready else "not ready",
            "workers": state.workers,
            "degraded": state.degraded,
        }

    @app.get("/-/metrics", dependencies=[Depends(authorized)])
    def all_metrics() -> Response:
        return Response(exposition(metrics) + others(), media_type=CONTENT_TYPE)

    @app.get("/-/health/services", dependencies=[Depends(authorized)])
    def health_of_services(response: Response) -> dict[str, object]:
        report = services(Path(metrics))
        if report["status"] in {"down", "unknown"}:
            response.status_code = 503
        return report

    return app
