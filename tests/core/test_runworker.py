"""The runworker command, up to the point where its worker runs."""

from __future__ import annotations

import logging
import signal
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from channels import channel_layers, route
from channels.asgi import ChannelLayerWrapper
from channels.handler import ViewConsumer
from channels.layers import InMemoryChannelLayer
from channels.message import Message
from channels.staticfiles import StaticFilesConsumer
from channels.worker import Worker, WorkerGroup

from .consumers import consumer
from .test_asgi import entry


class SharedLayer(InMemoryChannelLayer):
    """Says that other processes see its messages."""

    local_only = False


@pytest.fixture(autouse=True)
def logger(unchanged_logger: logging.Logger) -> logging.Logger:
    return unchanged_logger


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A layer for ``runworker``, whose worker ends at once and can be looked at."""
    ran: list[Worker] = []
    handlers = {signo: signal.getsignal(signo) for signo in (signal.SIGTERM, signal.SIGINT)}
    for worker_class in (Worker, WorkerGroup):
        monkeypatch.setattr(worker_class, "run", lambda self: ran.append(self))
    wrapper = ChannelLayerWrapper(SharedLayer(), "default", [route("a.x", consumer)])
    wrapper.ran = ran  # type: ignore[attr-defined]
    channel_layers.set("default", wrapper)
    yield wrapper
    channel_layers.set("default", None)
    for signo, handler in handlers.items():
        signal.signal(signo, handler)


def test_a_layer_that_cannot_leave_the_process_is_refused() -> None:
    with pytest.raises(CommandError, match=r"default .*InMemory.* one process only.*runserver"):
        call_command("runworker")


def test_an_unknown_alias_is_refused() -> None:
    with pytest.raises(CommandError, match=r"^There is no channel layer 'nope'"):
        call_command("runworker", layer="nope")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"BACKEND": "no.such.Layer"}, "cannot be imported"),
        (
            {"BACKEND": "tests.core.test_runworker.SharedLayer", "ROUTING": "no.such.routing"},
            "Cannot import the routing 'no.such.routing'",
        ),
    ],
)
def test_a_bad_configuration_is_one_line(
    settings: Any, changes: dict[str, Any], message: str
) -> None:
    settings.CHANNEL_LAYERS = {"default": entry(**changes)}
    with pytest.raises(CommandError, match=message):
        call_command("runworker")


@pytest.mark.parametrize("threads", [0, -1])
def test_a_bad_number_of_threads_is_refused(shared: Any, threads: int) -> None:
    with pytest.raises(CommandError, match=f"1 or more, not {threads}"):
        call_command("runworker", threads=threads)


def test_filters_that_leave_no_channel_are_refused(shared: Any) -> None:
    with pytest.raises(CommandError, match=r"No channel is left.*leave out all of a\.x, http"):
        call_command("runworker", only_channels=["none.*"])
    assert shared.ran == []


@pytest.mark.parametrize("threads", [1, 2])
def test_a_worker_that_says_that_it_listens_can_be_stopped(
    shared: Any, threads: int, logger: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(message: str, *args: object) -> None:
        if message.startswith("Listening"):
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(logger, "info", stop)
    signal.signal(signal.SIGTERM, lambda *args: pytest.fail("The worker would have died."))
    call_command("runworker", threads=threads)
    [worker] = shared.ran
    assert worker.termed


def test_the_filters_reach_the_worker(shared: Any) -> None:
    call_command(
        "runworker",
        "--only-channels=a.*", "--only-channels=http.*", "--exclude-channels=*.request",
        "--exclude-channels=*.y",
    )  # fmt: skip
    [worker] = shared.ran
    assert type(worker) is Worker
    assert worker.channel_layer is shared
    assert worker.only_channels == ["a.*", "http.*"]
    assert worker.exclude_channels == ["*.request", "*.y"]
    assert worker.signal_handlers is True


def test_threads_make_a_group_with_the_same_filters(shared: Any) -> None:
    call_command("runworker", "--threads=3", "--only-channels=a.*", "--disable-graceful-stop")
    [group] = shared.ran
    assert isinstance(group, WorkerGroup)
    assert group.n_threads == 3
    assert [worker.only_channels for worker in group.sub_workers] == [["a.*"]] * 3


def test_another_layer_can_be_served(shared: Any) -> None:
    other = ChannelLayerWrapper(SharedLayer(), "other", [])
    channel_layers.set("other", other)
    try:
        call_command("runworker", "--layer=other")
    finally:
        channel_layers.set("other", None)
    assert shared.ran[0].channel_layer is other


@pytest.mark.parametrize(
    ("debug", "expected"), [(False, ViewConsumer), (True, StaticFilesConsumer)]
)
def test_http_requests_are_served_and_static_files_with_debug(
    shared: Any, settings: Any, debug: bool, expected: type
) -> None:
    settings.DEBUG = debug
    call_command("runworker")
    found, _ = shared.router.match(Message({}, "http.request", shared))
    assert type(found) is expected


def test_the_worker_is_announced_before_it_runs(shared: Any) -> None:
    from channels.signals import worker_ready

    seen: list[Any] = []

    def ready(sender: Any, **kwargs: Any) -> None:
        seen.append((sender, list(shared.ran)))

    worker_ready.connect(ready)
    call_command("runworker")
    assert seen == [(shared.ran[0], [])]
