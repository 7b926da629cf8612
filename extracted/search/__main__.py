"""``python -m extracted.search --port 8001 --database URL``: migrate, then serve."""

import argparse

import uvicorn

from extracted.search.app import create_app
from extracted.search.database import Database, upgrade
from extracted.search.settings import Settings
from extracted.search.tokens import Verifier


def main() -> None:
    settings = Settings()
    parser = argparse.ArgumentParser(prog="python -m extracted.search", description="Run the search service.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8001)
    parser.add_argument("--database", default=settings.database, metavar="URL")
    arguments = parser.parse_args()
    settings.warn_if_unsafe()
    upgrade(arguments.database)
    app = create_app(Database(arguments.database), Verifier(settings.jwt_secret.get_secret_value()))
    # Kept-alive connections outlive the idle time of the proxies in front, so that only they close them.
    uvicorn.run(app, host=arguments.host, port=arguments.port, access_log=False, timeout_keep_alive=120)


if __name__ == "__main__":
    main()
