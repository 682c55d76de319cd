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


def run(directory: Path, project: str, *arguments: str, **variables: str) -> str:
    """Run ``manage.py`` of the project; returns what it writes."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PORT_DIRECTORY": str(directory),
        # Nobody listens there, so that only those have a Redis who ask for it.
        "PORT_REDIS": "1",
        "PORT_PREFIX": f"{uuid.uuid4().hex}:",
        **variables,
    }
    process = subprocess.run(
        [sys.executable, str(RUN), project, *arguments],
        env=environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
    )
    assert process.returncode == 0, process.stdout
    return process.stdout


def run_tests(directory: Path, project: str, label: str, **variables: str) -> int:
    """Run tests of the project, all of which must pass; returns how many there are."""
    output = run(directory, project, "test", "--noinput", label, **variables)
    ran = re.search(r"^Ran (\d+) tests", output, re.MULTILINE)
    assert ran, output
    return int(ran[1])


@pytest.mark.parametrize(("project", "module", "least"), PROJECTS)
def test_a_project_of_1x_passes_its_tests(
    redis_server: RedisServer, tmp_path: Path, project: str, module: str, least: int
) -> None:
    label = f"tests.ports.{project}.{module}"
    assert run_tests(tmp_path, project, label, PORT_REDIS=str(redis_server.port)) >= least


def test_a_project_without_our_apps_passes_its_tests(tmp_path: Path) -> None:
    """Routing, consumers and the tools for tests need no app."""
    assert run_tests(tmp_path, "chat", "tests.ports.chat.tests", PORT_APPS="no") >= 20


@pytest.mark.parametrize("project", ["chat", "dashboard"])
def test_a_project_of_1x_passes_the_checks_of_django(tmp_path: Path, project: str) -> None:
    assert "no issues" in run(tmp_path, project, "check", "--fail-level=WARNING")
