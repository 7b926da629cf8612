"""`strangler demo` as the README says to run it, only shorter."""

import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from tests.acceptance.command import CHECKOUT

SHORT = ("--users", "50", "--resources", "1000", "--dwell", "1.5")


@pytest.mark.timeout(600)
@pytest.mark.usefixtures("patience")
@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_the_demo_keeps_its_promises(request: pytest.FixtureRequest, tmp_path: Path, engine: str) -> None:
    if engine == "postgresql":
        request.getfixturevalue("postgresql_server")  # skips where there is none
    file, pages = tmp_path / "report.json", tmp_path / "pages"
    command = [sys.executable, "-m", "migration.cli", "demo", "--database", engine, *SHORT]

    done = subprocess.run(
        [*command, "--json", file, "--html", pages],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "Nothing failed, nothing was lost." in done.stdout
    assert "live → shadow" in done.stderr  # the rollback on the way
    report = orjson.loads(file.read_bytes())
    assert report["requests"]["total"] > 500
    assert report["requests"]["failed"] == 0
    writes = report["writes"]
    assert writes["acknowledged"] == writes["found"] > 50
    assert (writes["lost"], writes["doubled"]) == (0, 0)
    assert report["check"]["clean"]
    assert report["check"]["rows"] > 1000
    assert report["shadow"]["compared"] >= 100
    assert report["shadow"]["match_rate"] >= 0.95
    assert [switch["to"] for switch in report["switches"]] == ["service", "monolith", "service"]
    assert all(switch["errors"] == 0 and switch["pause_ms_p99"] > 0 for switch in report["switches"])
    assert list(report["latency_ms"]) == ["off", "dual_write", "shadow", "ramp", "live", "complete"]
    for latency in report["latency_ms"].values():
        assert 0 < latency["p50"] <= latency["p95"] <= latency["p99"]
    assert report["seconds"] > 0
    assert {page.name for page in pages.iterdir()} == {"index.html", "shadow.html"}
    shadow = (pages / "shadow.html").read_text(encoding="utf-8")
    for text in (
        f"of {report['shadow']['compared']:,} comparisons",
        "GET /search",
        "<h2>Latency</h2>",
        "all routes",
    ):
        assert text in shadow
    assert all("http://" not in page.read_text().replace("http://www.w3.org", "") for page in pages.iterdir())


def test_the_demo_says_where_it_runs(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "migration.cli", "demo"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "git clone" in done.stderr
    assert "Traceback" not in done.stderr
