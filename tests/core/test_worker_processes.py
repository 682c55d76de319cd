"""The runworker command in real processes, stopped by real signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .worker_project import MESSAGES

ROOT = Path(__file__).parents[2]


class WorkerProcess:
    """A running ``runworker``."""

    def __init__(self, *arguments: str, **environ: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "django", "runworker", *arguments],
            cwd=ROOT,
            env={
                **os.environ,
                "DJANGO_SETTINGS_MODULE": "tests.core.worker_settings",
                "PYTHONPATH": str(ROOT),
                **environ,
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def event(self) -> dict[str, Any]:
        """The next thing that the worker tells."""
        assert self.process.stdout
        event: dict[str, Any] = json.loads(self.process.stdout.readline())
        return event

    def say(self, order: str = "go on") -> None:
        """Let one waiting consumer go on."""
        assert self.process.stdin
        self.process.stdin.write(order + "\n")
        self.process.stdin.flush()

    def end(self) -> tuple[list[dict[str, Any]], str, int]:
        """Wait for the end: the remaining events, what was logged, and the exit code."""
        out, err = self.process.communicate(timeout=20)
        return [json.loads(line) for line in out.splitlines()], err, self.process.returncode


@pytest.fixture
def start() -> Iterator[Any]:
    started: list[WorkerProcess] = []

    def start_worker(*arguments: str, **environ: str) -> WorkerProcess:
        worker = WorkerProcess(*arguments, **environ)
        started.append(worker)
        return worker

    yield start_worker
    for worker in started:
        if worker.process.poll() is None:
            worker.process.kill()
        worker.process.communicate()


@pytest.mark.parametrize("signo", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_the_worker_finish_its_message_and_take_no_other(
    start: Any, signo: signal.Signals
) -> None:
    worker = start()
    assert worker.event() == {"event": "started", "n": 0}
    worker.process.send_signal(signo)
    worker.say()
    events, _, code = worker.end()
    assert events == [{"event": "finished", "n": 0}, {"event": "rest", "count": MESSAGES - 1}]
    assert code == 0


def test_a_signal_between_pop_and_dispatch_loses_no_message(start: Any) -> None:
    worker = start(SIGNAL_BETWEEN_POP_AND_DISPATCH="1")
    assert worker.event() == {"event": "started", "n": 0}
    worker.say()
    events, _, code = worker.end()
    assert events == [{"event": "finished", "n": 0}, {"event": "rest", "count": MESSAGES - 1}]
    assert code == 0


def test_a_signal_ends_an_idle_worker(start: Any) -> None:
    worker = start()
    for n in range(MESSAGES):
        assert worker.event() == {"event": "started", "n": n}
        worker.say()
        assert worker.event() == {"event": "finished", "n": n}
    worker.process.send_signal(signal.SIGTERM)
    events, log, code = worker.end()
    assert events == [{"event": "rest", "count": 0}]
    assert code == 0
    assert "Traceback" not in log


@pytest.mark.parametrize("signo", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_every_thread_of_a_group_finish_its_message(
    start: Any, signo: signal.Signals
) -> None:
    worker = start("--threads", "2")
    assert sorted(worker.event()["n"] for _ in range(2)) == [0, 1]
    worker.process.send_signal(signo)
    worker.say("go on when stopped")
    worker.say("go on when stopped")
    events, _, code = worker.end()
    assert sorted(event["n"] for event in events if event["event"] == "finished") == [0, 1]
    assert events[-1] == {"event": "rest", "count": MESSAGES - 2}
    assert code == 0


def test_a_thread_that_dies_ends_the_process_with_exit_code_1(start: Any) -> None:
    worker = start("--threads", "2")
    for _ in range(2):
        worker.event()
    worker.say("die")
    assert worker.process.stderr
    while "A worker thread died" not in worker.process.stderr.readline():
        assert worker.process.poll() is None
    worker.say()
    events, _, code = worker.end()
    assert [event["event"] for event in events] == ["finished", "rest"]
    assert code == 1


def test_the_worker_says_what_it_serves_on_stderr(start: Any) -> None:
    worker = start("--only-channels", "work*")
    worker.event()
    worker.process.send_signal(signal.SIGTERM)
    worker.say()
    _, log, _ = worker.end()
    assert "Running 1 worker thread(s) on channel layer default (tests.core.worker_" in log
    assert "Listening on channels work" in log


def test_help_works_without_usable_layers(start: Any) -> None:
    worker = start("--help", DJANGO_SETTINGS_MODULE="tests.settings")
    out, _ = worker.process.communicate(timeout=20)
    assert worker.process.returncode == 0
    for option in ("--layer", "--only-channels", "--exclude-channels", "--threads"):
        assert option in out
