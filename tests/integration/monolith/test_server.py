import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from migration.demo.processes import free_port


@pytest.mark.parametrize("module", ["monolith", "extracted.search"])
def test_it_migrates_serves_and_stops_on_sigterm(module: str, tmp_path: Path) -> None:
    port = free_port()
    log = tmp_path / "log"
    command = [sys.executable, "-m", module, "--port", str(port), "--database", f"sqlite:///{tmp_path}/x.db"]
    environment = {key: value for key, value in os.environ.items() if not key.endswith("_JWT_SECRET")}
    with (
        log.open("wb") as output,
        subprocess.Popen(command, stdout=output, stderr=output, env=environment) as server,
    ):
        try:
            for attempt in Retrying(
                retry=retry_if_exception_type(httpx.TransportError),
                stop=stop_after_delay(30),
                wait=wait_fixed(0.05),
            ):
                with attempt:
                    assert httpx.get(f"http://127.0.0.1:{port}/health").json() == {"status": "ok"}
            assert httpx.get(f"http://127.0.0.1:{port}/search").status_code == 401
        finally:
            server.send_signal(signal.SIGTERM)
    assert "public" in log.read_text()
    assert "Traceback" not in log.read_text()
