"""`strangler serve` as a process of its own."""

import sys
from pathlib import Path
from typing import Any

import httpx

from migration.demo.processes import Process, free_port

SECONDS = 30


class Facade:
    """A facade of two workers before a monolith that answers everything."""

    def __init__(self, directory: Path, upstream: str) -> None:
        self.directory = directory
        listen, admin = free_port(), free_port()
        plan = directory / "strangler.toml"
        plan.write_text(
            f"""
            [monolith]
            url = "{upstream}"
            database = "sqlite:///monolith.db"
            [facade]
            listen = "127.0.0.1:{listen}"
            admin = "127.0.0.1:{admin}"
            [[phases]]
            name = "search"
            routes = ["GET /search"]
            [phases.service]
            url = "{upstream}"
            """
        )
        command = [sys.executable, "-m", "migration.cli", "serve", "--workers", "2", "--plan", plan]
        self.process = Process(command, directory / "serve.log")
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{listen}", trust_env=False)
        self.admin = httpx.Client(base_url=f"http://127.0.0.1:{admin}", trust_env=False)

    def readiness(self) -> tuple[int, dict[str, Any]]:
        answer = self.admin.get("/-/readyz")
        return answer.status_code, answer.json()

    @property
    def token(self) -> str:
        return (self.directory / ".strangler" / "admin-token").read_text().strip()

    def metrics(self) -> str:
        answer = self.admin.get("/-/metrics", headers={"Authorization": f"Bearer {self.token}"})
        return answer.raise_for_status().text

    def close(self) -> int:
        self.client.close()
        self.admin.close()
        return self.process.terminate()
