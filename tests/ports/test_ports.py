"""1.x projects with their own tests, each as a project of its own with its own processes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from tests.redis_server import RedisServer

#: Seconds that the tests of a project may take, on a busy machine.
PATIENCE = 300

ROOT = Path(__file__).parents[2]
RUN = Path(__file__).parent / "run.py"

#: How many tests each of them has at least, so that none is left out by mistake.
PROJECTS = [
    ("chat", "tests", 20),
    ("chat", "live_tests", 12),
    ("dashboard", "tests", 15),
    ("dashboard", "live_tests", 8),
]


@pytest.mark.parametrize(("project", "module", "least"), PROJECTS)
def test_a_project_of_1x_passes_its_tests(
    redis_server: RedisServer, tmp_path: Path, project: str, module: str, least: int
) -> None:
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PORT_DIRECTORY": str(tmp_path),
        "PORT_REDIS": str(redis_server.port),
        "PORT_PREFIX": f"{uuid.uuid4().hex}:",
    }
    label = f"tests.ports.{project}.{module}"
    run = subprocess.run(
        [sys.executable, str(RUN), project, "test", "--noinput", label],
        env=environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
    )
    assert run.returncode == 0, run.stdout
    ran = re.search(r"^Ran (\d+) tests", run.stdout, re.MULTILINE)
    assert ran, run.stdout
    assert int(ran[1]) >= least, run.stdout


@pytest.mark.parametrize("project", ["chat", "dashboard"])
def test_a_project_of_1x_passes_the_checks_of_django(tmp_path: Path, project: str) -> None:
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PORT_DIRECTORY": str(tmp_path),
        "PORT_REDIS": "1",
        "PORT_PREFIX": "",
    }
    run = subprocess.run(
        [sys.executable, str(RUN), project, "check", "--fail-level=WARNING"],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert run.returncode == 0, run.stderr
    assert "no issues" in run.stdout
