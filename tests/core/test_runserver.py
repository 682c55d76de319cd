"""The runserver command, with a server that only says how it was called."""

from __future__ import annotations

import errno
import io
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError, SystemCheckError
from django.core.management.commands.runserver import Command as DjangoRunserver
from django.core.servers.basehttp import WSGIServer

from channels import channel_layers
from channels.handler import ViewConsumer
from channels.layers import InMemoryChannelLayer
from channels.management.commands import runserver
from channels.message import Message
from channels.signals import worker_process_ready, worker_ready
from channels.staticfiles import StaticFilesConsumer

from .conftest import MakeLayer
from .test_asgi import entry


class FakeServer:
    """Says how it was made, and runs as long as ``running`` says."""

    made: list[dict[str, Any]]
    error: BaseException | None

    def __init__(self, **keywords: Any) -> None:
        self.made.append(keywords)

    def run(self) -> None:
        if self.error:
            raise self.error


class Command(runserver.Command):
    server_cls = FakeServer


@pytest.fixture(autouse=True)
def server(monkeypatch: pytest.MonkeyPatch, unchanged_logger: logging.Logger) -> type[FakeServer]:
    """The server of the test, without any workers that would outlive it."""
    FakeServer.made = []
    FakeServer.error = None
    monkeypatch.setattr(runserver.WorkerThread, "start", lambda self: None)
    return FakeServer


@pytest.fixture
def django_server(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The calls of Django's own server."""
    calls: list[Any] = []
    monkeypatch.setattr(
        "django.core.management.commands.runserver.run",
        lambda *args, **kwargs: calls.append((args, kwargs)),
    )
    return calls


def start(*arguments: str, **options: Any) -> str:
    """Run the command; what it wrote to stdout."""
    out = io.StringIO()
    call_command(Command(), "--noreload", *arguments, stdout=out, stderr=io.StringIO(), **options)
    return out.getvalue()


def test_the_server_gets_the_keywords_of_the_contract(make_layer: MakeLayer) -> None:
    layer = make_layer()
    out = start("8123", skip_checks=False)
    [keywords] = FakeServer.made
    assert keywords.pop("action_logger").__name__ == "log_action"
    assert keywords == {
        "channel_layer": layer.channel_layer,
        "endpoints": ["tcp:port=8123:interface=127.0.0.1"],
        "signal_handlers": True,
        "http_timeout": 60,
        "ws_protocols": None,
        "root_path": "",
        "websocket_handshake_timeout": 5,
    }
    assert "System check identified no issues" in out
    assert f"Channel layer {layer}" in out
    assert ":8123/" in out


def test_every_flag_reaches_what_it_names(make_layer: MakeLayer, settings: Any) -> None:
    make_layer()
    settings.FORCE_SCRIPT_NAME = "/app"
    start("[::1]:8124", "--http_timeout=7", "--websocket_handshake_timeout=8")
    [keywords] = FakeServer.made
    assert keywords["endpoints"] == [r"tcp:port=8124:interface=\:\:1"]
    assert keywords["http_timeout"] == 7
    assert keywords["websocket_handshake_timeout"] == 8
    assert keywords["root_path"] == "/app"


def test_checks_can_be_skipped(make_layer: MakeLayer) -> None:
    make_layer()
    assert "system checks" not in start("--skip-checks")


def test_failing_checks_stop_it(settings: Any) -> None:
    settings.CHANNEL_LAYERS = {"default": {}}
    with pytest.raises(SystemCheckError, match=r"channels\.E002"):
        start(skip_checks=False)


@pytest.mark.parametrize(
    ("arguments", "threads"), [([], 4), (["--nothreading"], 1), (["--noworker"], 0)]
)
def test_so_many_worker_threads_are_started(
    make_layer: MakeLayer, monkeypatch: pytest.MonkeyPatch, arguments: list[str], threads: int
) -> None:
    layer = make_layer()
    monkeypatch.setattr(InMemoryChannelLayer, "local_only", False)
    started: list[Any] = []
    monkeypatch.setattr(runserver.WorkerThread, "start", lambda self: started.append(self))
    announced: list[Any] = []

    def ready(sender: Any, **kwargs: Any) -> None:
        announced.append(sender)

    worker_process_ready.connect(ready)
    start(*arguments)
    assert len(started) == threads
    assert announced == started[:1]
    for thread in started:
        assert isinstance(thread, runserver.WorkerThread)
        assert thread.daemon
        assert thread.channel_layer is layer


def test_a_worker_thread_announces_its_worker_and_serves(
    make_layer: MakeLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = threading.Event()
    layer = make_layer({"a": lambda message: ended.set()})
    workers: list[Any] = []

    def ready(sender: Any, **kwargs: Any) -> None:
        workers.append(sender)

    worker_ready.connect(ready)
    monkeypatch.undo()
    thread = runserver.WorkerThread(layer)
    thread.start()
    layer.send("a", {})
    assert ended.wait(5)
    workers[0].termed = True
    thread.join(5)
    assert not thread.is_alive()


def test_a_consumer_that_exits_costs_no_worker_thread(
    make_layer: MakeLayer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ended = threading.Event()
    layer = make_layer({"a": lambda message: sys.exit(3), "b": lambda message: ended.set()})
    workers: list[Any] = []

    def ready(sender: Any, **kwargs: Any) -> None:
        workers.append(sender)

    worker_ready.connect(ready)
    monkeypatch.undo()
    thread = runserver.WorkerThread(layer)
    thread.start()
    layer.send("a", {})
    layer.send("b", {})
    assert ended.wait(5)
    workers[-1].termed = True
    thread.join(5)
    assert not thread.is_alive()
    [record] = [record for record in caplog.records if record.levelno == logging.CRITICAL]
    assert record.exc_info
    assert isinstance(record.exc_info[1], SystemExit)


def test_without_workers_a_local_layer_is_refused(make_layer: MakeLayer) -> None:
    make_layer()
    with pytest.raises(CommandError, match="With --noworker nothing would ever answer"):
        start("--noworker")


def test_a_routing_that_cannot_be_imported_is_one_line(settings: Any) -> None:
    settings.CHANNEL_LAYERS = {"default": entry(ROUTING="no.such.routing")}
    with pytest.raises(CommandError, match=r"routing 'no\.such\.routing'"):
        start()


@pytest.mark.parametrize("case", ["noasgi", "no layers"])
def test_djangos_own_server_runs_with_noasgi_and_without_layers(
    make_layer: MakeLayer, settings: Any, django_server: list[Any], case: str
) -> None:
    if case == "no layers":
        settings.CHANNEL_LAYERS = {}
    start("8125", *(["--noasgi"] if case == "noasgi" else []))
    [(args, keywords)] = django_server
    assert args[:2] == ("127.0.0.1", 8125)
    assert keywords["server_cls"] is DjangoRunserver.server_cls
    assert issubclass(keywords["server_cls"], WSGIServer)
    assert FakeServer.made == []


@pytest.mark.parametrize(
    ("debug", "arguments", "expected"),
    [
        (True, [], StaticFilesConsumer),
        (False, [], ViewConsumer),
        (False, ["--insecure"], StaticFilesConsumer),
        (True, ["--nostatic"], ViewConsumer),
    ],
)
def test_static_files_are_served_with_debug(
    make_layer: MakeLayer, settings: Any, debug: bool, arguments: list[str], expected: type
) -> None:
    layer = make_layer()
    settings.DEBUG = debug
    start(*arguments)
    found, _ = layer.router.match(Message({}, "http.request", layer)) or (None, {})
    assert type(found) is expected


@pytest.mark.parametrize(
    ("number", "message"),
    [(errno.EADDRINUSE, "That port is already in use."), (errno.EIO, "it broke")],
)
def test_an_error_of_the_port_is_one_line_and_exit_code_1(
    make_layer: MakeLayer, monkeypatch: pytest.MonkeyPatch, number: int, message: str
) -> None:
    class Exit(Exception):
        pass

    def leave(code: int) -> None:
        raise Exit(code)

    make_layer()
    FakeServer.error = OSError(number, "it broke")
    monkeypatch.setattr(os, "_exit", leave)
    err = io.StringIO()
    with pytest.raises(Exit, match="1"):
        call_command(Command(), "--noreload", stdout=io.StringIO(), stderr=err)
    assert message in err.getvalue()


@pytest.mark.parametrize("goodbye", ["", "bye"])
def test_ctrl_c_ends_it_with_exit_code_0(make_layer: MakeLayer, goodbye: str) -> None:
    make_layer()
    FakeServer.error = KeyboardInterrupt()
    out = io.StringIO()
    with pytest.raises(SystemExit) as exit_info:
        call_command(Command(), "--noreload", stdout=out, shutdown_message=goodbye)
    assert exit_info.value.code == 0
    assert goodbye in out.getvalue()


@pytest.mark.parametrize("status", [200, 302, 404, 403, 500])
def test_actions_of_http_are_lines_on_stderr(status: int) -> None:
    err = io.StringIO()
    command = Command(stderr=err, no_color=True)
    details = {"method": "GET", "path": "/x", "status": status, "time_taken": 0.123, "client": "c"}
    command.log_action("http", "complete", details)
    assert err.getvalue().endswith(f"] HTTP GET /x {status} [0.12, c]\n")


@pytest.mark.parametrize(
    ("action", "word"),
    [("connecting", "HANDSHAKING"), ("connected", "CONNECT"), ("disconnected", "DISCONNECT"),
     ("rejected", "REJECT")],
)  # fmt: skip
def test_actions_of_sockets_are_lines_on_stderr(action: str, word: str) -> None:
    err = io.StringIO()
    Command(stderr=err, no_color=True).log_action("websocket", action, {"path": "/x", "client": 1})
    assert err.getvalue().endswith(f"] WebSocket {word} /x [1]\n")


def test_it_works_without_staticfiles() -> None:
    root = Path(__file__).parents[2]
    environ = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.core.no_staticfiles_settings",
        "PYTHONPATH": str(root),
    }
    arguments = [sys.executable, "-m", "django", "runserver", "--help"]
    result = subprocess.run(
        arguments, cwd=root, env=environ, capture_output=True, text=True, check=True, timeout=20
    )
    assert "--noworker" in result.stdout
    assert "--nostatic" not in result.stdout


def test_the_real_command_has_the_real_server() -> None:
    from channels.interface.server import Server

    assert runserver.Command.server_cls is Server
    assert channel_layers["default"].local_only()
