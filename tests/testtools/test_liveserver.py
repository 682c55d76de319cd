"""The live server, seen from a project that tests with it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from channels.test import ChannelLiveServerTestCase

#: Seconds that all tests of the project may take, on a busy machine.
PATIENCE = 300

ROOT = Path(__file__).parents[2]
RUN = Path(__file__).parent / "live" / "run.py"
CASES = ["tests.testtools.live.cases", "tests.testtools.live.overriding_cases"]
FAILING = "tests.testtools.live.failing_cases"
ABANDONED = "tests.testtools.live.abandoned_cases"
START_METHODS = ["spawn", "fork"]

#: What the message of each failing test says.
FAILURES = {
    "PortInUse": "Address already in use",
    "BrokenWorker": "LookupError: no worker today",
    "StuckWorker": "The worker process of the live server was not ready in 5 seconds.",
    "DeafWorker": "The worker process of the live server had to be killed.",
    "VanishedWorker": "did not start: it ended with exit code 7.",
    "KilledWorker": "ended during the test: it ended with exit code -9.",
    "FailingConsumer": "so that the output is shown",
    "SeveralLayers": "exactly one entry in CHANNEL_LAYERS, not 2 (default, other)",
    "NoLayers": "exactly one entry in CHANNEL_LAYERS, not 0",
    "LocalLayer": "makes a layer that other processes cannot see",
    "BadLayer": "InvalidChannelLayerError",
}

Start = Callable[..., "subprocess.Popen[str]"]
Finished = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def start(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Start:
    """Starts the project's tests: ``start(start_method, *labels)``."""

    def start(method: str, *labels: str) -> subprocess.Popen[str]:
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "LIVE_REDIS": redis_url,
            "LIVE_PREFIX": f"{uuid.uuid4().hex}:",
            "LIVE_DIRECTORY": str(tmp_path_factory.mktemp("live")),
        }
        return subprocess.Popen(
            [sys.executable, "-W", "error", str(RUN), method, *labels],
            env=environment,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    return start


@pytest.fixture(scope="module")
def finished(start: Start) -> Iterator[Finished]:
    """Exit code and output of a run: ``finished(start_method, *labels)``.

    All runs go on at the same time, as most of theirs is waiting.
    """
    runs = [(method, *labels) for method in START_METHODS for labels in (CASES, [FAILING])]
    with ThreadPoolExecutor(len(runs)) as pool:
        results = {run: pool.submit(_finish, start(*run)) for run in runs}
        yield lambda *run: results[run].result()


def _finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    output, _ = process.communicate(timeout=PATIENCE)
    return process.returncode, output


@pytest.fixture(scope="module", params=START_METHODS)
def failing_output(request: pytest.FixtureRequest, finished: Finished) -> tuple[str, str]:
    """Start method and output of the tests that must fail."""
    return request.param, finished(request.param, FAILING)[1]


def errors_of(output: str) -> dict[str, str]:
    """The report of each failed test, by the name of its class."""
    reports = re.split(r"^=+\n(?:ERROR|FAIL): ", output, flags=re.MULTILINE)[1:]
    return {re.findall(r"failing_cases\.(\w+)", report)[0]: report for report in reports}


@pytest.mark.parametrize("method", START_METHODS)
def test_a_project_can_test_with_the_live_server(finished: Finished, method: str) -> None:
    code, output = finished(method, *CASES)
    assert code == 0, output
    assert re.search(r"Ran \d\d tests", output)
    assert output.rstrip().endswith("Destroying test database for alias 'default'...")


@pytest.mark.parametrize("name", FAILURES)
def test_what_goes_wrong_fails_the_test_with_a_reason(
    failing_output: tuple[str, str], name: str
) -> None:
    _, output = failing_output
    assert FAILURES[name] in errors_of(output).get(name, "it passed")


def test_a_setting_that_the_child_cannot_load_fails_the_test_with_a_reason(
    failing_output: tuple[str, str],
) -> None:
    method, output = failing_output
    report = errors_of(output).get("UnloadableSetting", "it passed")
    # A forked child has the object itself.
    assert ("LookupError: cannot be unpickled" if method == "spawn" else "it passed") in report


def test_the_traceback_of_a_failing_consumer_is_shown(failing_output: tuple[str, str]) -> None:
    assert "LookupError: this consumer always fails" in failing_output[1]


def test_no_process_outlives_a_test_that_failed(failing_output: tuple[str, str]) -> None:
    assert "Ran " in failing_output[1]
    assert "tearDownClass" not in failing_output[1]


@pytest.mark.parametrize("method", START_METHODS)
def test_no_process_outlives_a_test_run_that_was_killed(start: Start, method: str) -> None:
    process = start(method, ABANDONED)
    assert process.stdout
    while process.stdout.readline() != "serving\n":
        assert process.poll() is None
    process.kill()
    # They have the same standard output: it ends when the last of them does.
    process.communicate(timeout=PATIENCE)


@pytest.mark.parametrize("where", ["main", "everywhere"])
def test_settings_without_a_module_reach_a_spawned_child(where: str) -> None:
    script = RUN.parent / "configured.py"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    command = [sys.executable, "-W", "error", str(script), "spawn", where]
    run = subprocess.run(
        command, env=environment, text=True, capture_output=True, timeout=PATIENCE
    )
    assert run.stdout.splitlines() == [
        "['configured', 'test', 7]",
        "['overridden', 'test', 7]",
        "The child process did not start: Traceback (most recent call last): "
        "ValueError: invalid literal for int() with base 10: 'not a number'",
    ], run.stderr


class Unusable(ChannelLiveServerTestCase):
    """Refused, as the database of this suite is in memory."""

    def test_nothing(self) -> None: ...


Unusable.__test__ = False  # type: ignore[attr-defined]


def test_an_ipv6_address_has_brackets_in_the_urls() -> None:
    test = Unusable("test_nothing")
    test.host, test._port = "::1", 8000  # type: ignore[misc]
    assert test.live_server_url == "http://[::1]:8000"
    assert test.live_server_ws_url == "ws://[::1]:8000"


def test_an_in_memory_database_is_refused_for_the_class() -> None:
    with pytest.raises(ImproperlyConfigured, match=r"'default' is an in-memory SQLite database"):
        Unusable.setUpClass()
    Unusable.doClassCleanups()


@pytest.mark.django_db(transaction=True)
def test_an_in_memory_database_is_refused_for_the_test() -> None:
    with pytest.raises(ImproperlyConfigured, match=r"DATABASES\['default'\]\[\"TEST\"\]"):
        Unusable("test_nothing").debug()
