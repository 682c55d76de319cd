"""Workers and worker groups, in this process."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from typing import Any

import pytest
from asgiref.sync import async_to_sync

from channels import Channel, route, signals
from channels.asgi import ChannelLayerWrapper
from channels.exceptions import ChannelLayerUnavailable, ConsumeLater, DenyConnection
from channels.handler import AsgiHandler
from channels.layers import InMemoryChannelLayer
from channels.message import Message
from channels.utils import receive_method, receive_waiting
from channels.worker import Worker, WorkerGroup

from .conftest import MakeLayer
from .tools import CountedWorker, ForeignLayer, drain, problems, request_content, work


def nothing(message: Message, **kwargs: Any) -> None:
    pass


# Filters


@pytest.mark.parametrize(
    ("only", "exclude", "served"),
    [
        (None, None, ["a.one", "a.two", "b"]),
        (["a.*"], None, ["a.one", "a.two"]),
        (["b", "*.one"], None, ["a.one", "b"]),
        (None, ["a.*"], ["b"]),
        (["a.*"], ["*.two"], ["a.one"]),
        ([], [], ["a.one", "a.two", "b"]),
        (["none"], None, []),
    ],
)
def test_channel_filters_are_shell_globs(only: Any, exclude: Any, served: list[str]) -> None:
    worker = Worker(None, only_channels=only, exclude_channels=exclude)
    assert worker.apply_channel_filters({"a.one", "a.two", "b"}) == served


def test_a_worker_serves_only_its_channels(make_layer: MakeLayer) -> None:
    layer = make_layer([route("a", nothing), route("b", nothing)])
    layer.send("a", {"n": 1})
    layer.send("b", {"n": 2})
    work(layer, rounds=1, only_channels=["b"])
    assert drain(layer, "a") == [{"n": 1}]
    assert drain(layer, "b") == []


# The callback


def test_the_callback_runs_after_the_match_and_before_the_consumer(
    make_layer: MakeLayer,
) -> None:
    calls: list[Any] = []

    def callback(channel: str, message: Message) -> None:
        calls.append((channel, message["n"]))

    layer = make_layer([route("a", lambda message: calls.append("consumer"))])
    layer.send("a", {"n": 1})
    work(layer, callback=callback)
    assert calls == [("a", 1), "consumer"]


def test_there_is_no_callback_without_a_match(make_layer: MakeLayer) -> None:
    calls: list[Any] = []
    layer = make_layer([route("a", nothing, path="^/$")])
    layer.send("a", {})
    work(layer, callback=lambda channel, message: calls.append(channel))
    assert calls == []


# ConsumeLater


def test_retries_are_counted_in_the_content_and_the_last_try_is_doomed(
    make_layer: MakeLayer,
) -> None:
    seen: list[Any] = []

    def consumer(message: Message) -> None:
        seen.append((message.get("__retries__", 0), getattr(message, "__doomed__", False)))
        raise ConsumeLater

    layer = make_layer([route("a", consumer)])
    layer.send("a", {})
    work(layer, rounds=3, message_retries=2)
    assert seen == [(0, False), (1, False), (2, True)]


def test_consume_later_reinserts_exactly_once(make_layer: MakeLayer) -> None:
    def consumer(message: Message) -> None:
        raise ConsumeLater

    layer = make_layer([route("a", consumer)])
    layer.send("a", {"n": 1})
    work(layer)
    assert drain(layer, "a") == [{"n": 1, "__retries__": 1}]


def test_held_sends_go_out_before_the_message_is_put_back(make_layer: MakeLayer) -> None:
    def consumer(message: Message) -> None:
        Channel("a").send({"n": 2})
        raise ConsumeLater

    layer = make_layer([route("a", consumer)])
    layer.send("a", {"n": 1})
    work(layer)
    assert [content["n"] for content in drain(layer, "a")] == [2, 1]


def test_a_full_channel_at_consume_later_is_logged(
    make_layer: MakeLayer, quick_retries: None, caplog: pytest.LogCaptureFixture
) -> None:
    def consumer(message: Message) -> None:
        Channel("a").send({"n": 2}, immediately=True)
        raise ConsumeLater

    layer = make_layer([route("a", consumer)], capacity=1)
    layer.send("a", {"n": 1})
    work(layer)
    [record] = problems(caplog)
    assert record.levelname == "ERROR"
    assert "A message to a is lost: Channel 'a' is full" in record.getMessage()
    assert drain(layer, "a") == [{"n": 2}]


def test_a_full_channel_at_consume_later_is_tried_again(
    make_layer: MakeLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def consumer(message: Message) -> None:
        Channel("a").send({"n": 2}, immediately=True)
        raise ConsumeLater

    layer = make_layer([route("a", consumer)], capacity=1)
    layer.send("a", {"n": 1})
    # Another worker takes its message while this one pauses.
    monkeypatch.setattr("channels.pending.time.sleep", lambda seconds: drain(layer, "a"))
    work(layer)
    assert drain(layer, "a") == [{"n": 1, "__retries__": 1}]


# DenyConnection


def test_deny_connection_refuses_the_socket(make_layer: MakeLayer) -> None:
    def consumer(message: Message) -> None:
        raise DenyConnection

    layer = make_layer([route("websocket.connect", consumer)])
    layer.send("websocket.connect", {"reply_channel": "r!1"})
    work(layer)
    assert drain(layer, "r!") == [{"close": True}]


@pytest.mark.parametrize(
    ("channel", "content"),
    [("websocket.receive", {"reply_channel": "r!1"}), ("websocket.connect", {})],
)
def test_deny_connection_elsewhere_is_logged_and_the_worker_goes_on(
    make_layer: MakeLayer,
    caplog: pytest.LogCaptureFixture,
    channel: str,
    content: dict[str, Any],
) -> None:
    runs: list[int] = []

    def consumer(message: Message) -> None:
        runs.append(1)
        raise DenyConnection

    layer = make_layer([route(channel, consumer)])
    for _ in range(2):
        layer.send(channel, content)
    work(layer, rounds=2)
    assert len(runs) == 2
    assert drain(layer, "r!") == []
    record, _ = problems(caplog)
    assert record.exc_info
    assert "only websocket.connect can be denied" in str(record.exc_info[1])


def test_a_denial_is_tried_again_when_the_channel_is_full(
    make_layer: MakeLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def consumer(message: Message) -> None:
        raise DenyConnection

    layer = make_layer([route("websocket.connect", consumer)], channel_capacity={"r": 1})
    layer.send("r!2", {})
    layer.send("websocket.connect", {"reply_channel": "r!1"})
    monkeypatch.setattr("channels.pending.time.sleep", lambda seconds: drain(layer, "r!"))
    work(layer)
    assert drain(layer, "r!") == [{"close": True}]


# Errors never end a worker


def test_an_exception_is_logged_with_its_traceback_and_the_worker_goes_on(
    make_layer: MakeLayer, caplog: pytest.LogCaptureFixture
) -> None:
    done: list[int] = []

    def consumer(message: Message) -> None:
        if message["n"] == 1:
            raise RuntimeError("on purpose")
        done.append(message["n"])

    layer = make_layer([route("a", consumer)])
    for n in (1, 2):
        layer.send("a", {"n": n})
    work(layer, rounds=2)
    assert done == [2]
    [record] = problems(caplog)
    assert (record.name, record.levelname) == ("django.channels", "ERROR")
    assert record.exc_info
    assert str(record.exc_info[1]) == "on purpose"
    assert f"{__name__}." in record.getMessage()


def test_cancelled_coroutines_of_a_consumer_do_not_end_the_worker(
    make_layer: MakeLayer, caplog: pytest.LogCaptureFixture
) -> None:
    async def wait_for_cancelled() -> None:
        task = asyncio.create_task(asyncio.sleep(60))
        task.cancel()
        await task

    layer = make_layer([route("a", lambda message: async_to_sync(wait_for_cancelled)())])
    layer.send("a", {})
    work(layer)
    [record] = problems(caplog)
    assert record.exc_info
    assert isinstance(record.exc_info[1], asyncio.CancelledError)


def test_a_message_without_a_consumer_is_a_logged_error(
    make_layer: MakeLayer, caplog: pytest.LogCaptureFixture
) -> None:
    layer = make_layer([route("a", nothing, path="^/$")])
    layer.send("a", {})
    work(layer)
    [record] = problems(caplog)
    assert record.levelname == "ERROR"
    assert "No consumer takes a message on a" in record.getMessage()


def test_a_routing_object_that_raises_is_logged_and_the_worker_goes_on(
    make_layer: MakeLayer, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        def match(self, message: Message) -> Any:
            raise RuntimeError("on purpose")

        def channel_names(self) -> set[str]:
            return {"a"}

    layer = make_layer([Broken()])
    layer.send("a", {})
    work(layer)
    [record] = problems(caplog)
    assert "consumer of a" in record.getMessage()


@pytest.mark.parametrize(
    ("error", "has_traceback"),
    [(ChannelLayerUnavailable("away"), False), (RuntimeError("broken"), True)],
)
def test_a_receive_that_raises_is_logged_and_the_worker_goes_on(
    quick_retries: None,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    has_traceback: bool,
) -> None:
    class Failing(InMemoryChannelLayer):
        failures = 1

        def receive(self, channels: Any, block: bool = False) -> Any:
            if self.failures:
                self.failures -= 1
                raise error
            return super().receive(channels, block)

    done: list[int] = []
    layer = ChannelLayerWrapper(
        Failing(), "default", [route("a", lambda message: done.append(message["n"]))]
    )
    layer.send("a", {"n": 1})
    work(layer, rounds=2)
    assert done == [1]
    [record] = problems(caplog)
    assert "cannot receive" in record.getMessage()
    assert (record.exc_info is not None) is has_traceback


def test_a_full_channel_at_the_flush_never_ends_the_worker(
    make_layer: MakeLayer, quick_retries: None, caplog: pytest.LogCaptureFixture
) -> None:
    layer = make_layer(
        [route("a", lambda message: Channel("full").send({"n": message["n"]}))],
        channel_capacity={"full": 1},
    )
    for n in (1, 2, 3):
        layer.send("a", {"n": n})
    work(layer, rounds=3)
    assert drain(layer, "a") == []
    assert drain(layer, "full") == [{"n": 1}]
    assert len(problems(caplog)) == 2


@pytest.mark.urls("tests.core.urls")
def test_a_handler_inside_a_consumer_keeps_the_held_sends(make_layer: MakeLayer) -> None:
    def consumer(message: Message) -> None:
        Channel("x").send({"n": 1})
        content = request_content(path="/hello/")
        assert list(AsgiHandler(Message(content, "http.request", layer)))
        assert drain(layer, "x") == []
        Channel("x").send({"n": 2})

    layer = make_layer([route("a", consumer)])
    layer.send("a", {})
    work(layer)
    assert drain(layer, "x") == [{"n": 1}, {"n": 2}]


# Life of a worker


def test_a_worker_without_layer_constructs() -> None:
    worker = Worker(None)
    assert worker.termed is False
    assert worker.in_job is False
    assert worker.message_retries == 10


def test_termed_is_read_once_before_every_receive(make_layer: MakeLayer) -> None:
    layer = make_layer([route("a", nothing)])
    for n in range(5):
        layer.send("a", {"n": n})
    work(layer, rounds=3)
    assert [content["n"] for content in drain(layer, "a")] == [3, 4]


def test_in_job_is_true_while_a_consumer_runs(make_layer: MakeLayer) -> None:
    seen: list[bool] = []
    layer = make_layer([route("a", lambda message: seen.append(worker.in_job))])
    layer.send("a", {})
    worker = CountedWorker(layer, signal_handlers=False)
    worker.rounds = 1
    worker.run()
    assert seen == [True]
    assert worker.in_job is False


def test_ready_announces_the_process_and_the_worker() -> None:
    calls: list[Any] = []

    def process(sender: Any, **kwargs: Any) -> None:
        calls.append(("process", sender))

    def ready(sender: Any, **kwargs: Any) -> None:
        calls.append(("worker", sender))

    signals.worker_process_ready.connect(process)
    signals.worker_ready.connect(ready)
    worker = Worker(None)
    worker.ready()
    assert calls == [("process", worker), ("worker", worker)]
    calls.clear()
    group = WorkerGroup(None, n_threads=2)
    group.ready()
    assert calls == [("process", group), *(("worker", sub) for sub in group.sub_workers)]


# Layers of others


@pytest.mark.parametrize("reader", ["worker", "direct"])
def test_a_layer_that_never_waits_uses_no_cpu(reader: str) -> None:
    foreign = ForeignLayer()
    started = time.thread_time(), time.monotonic()
    if reader == "worker":
        work(ChannelLayerWrapper(foreign, "f", [route("a", nothing)]), rounds=5)
    else:
        for _ in range(5):
            assert receive_waiting(foreign, ["a"]) == (None, None)
    assert foreign.receives == 5
    assert time.monotonic() - started[1] >= 5 * 0.05
    assert time.thread_time() - started[0] < 0.05


def test_a_layer_with_only_receive_many_is_served() -> None:
    done: list[int] = []
    foreign = ForeignLayer()
    wrapper = ChannelLayerWrapper(
        foreign, "f", [route("a", lambda message: done.append(message["n"]))]
    )
    Channel("a", channel_layer=wrapper).send({"n": 1})
    work(wrapper)
    assert done == [1]


def test_the_method_that_the_most_specific_class_overrides_is_used_to_receive() -> None:
    class Many(InMemoryChannelLayer):
        def receive_many(self, channels: Any, block: bool = False) -> Any:
            return "many", {}

    class One(Many):
        def receive(self, channels: Any, block: bool = False) -> Any:
            return "one", {}

    assert receive_method(InMemoryChannelLayer())(["a"]) == (None, None)
    assert receive_method(Many())(["a"]) == ("many", {})
    assert receive_method(One())(["a"]) == ("one", {})
    assert receive_method(ChannelLayerWrapper(Many(), "m", []))(["a"]) == ("many", {})


def test_a_proxy_of_a_layer_can_be_received_from() -> None:
    class Proxy:
        def __init__(self, layer: Any) -> None:
            self.layer = layer

        def __getattr__(self, name: str) -> Any:
            return getattr(self.layer, name)

    assert receive_method(Proxy(InMemoryChannelLayer()))(["a"]) == (None, None)
    assert receive_method(Proxy(ForeignLayer()))(["a"]) == (None, None)


# Groups


def test_a_group_runs_consumers_at_once(make_layer: MakeLayer, start_group: Any) -> None:
    both = threading.Barrier(3)
    layer = make_layer([route("a", lambda message: both.wait(5))])
    group, runner = start_group(layer, n_threads=2, stop_gracefully=False)
    for _ in range(2):
        layer.send("a", {})
    both.wait(5)
    group.sigterm_handler(15, None)
    runner.join(5)
    assert not runner.is_alive()


def test_a_group_has_as_many_threads_as_there_are_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("channels.worker.os.cpu_count", lambda: 3)
    assert WorkerGroup(None).n_threads == 3
    monkeypatch.setattr("channels.worker.os.cpu_count", lambda: None)
    assert len(WorkerGroup(None).sub_workers) == 1


def test_a_group_hands_its_arguments_to_every_worker() -> None:
    group = WorkerGroup(None, n_threads=2, only_channels=["a"], message_retries=3)
    for worker in group.sub_workers:
        assert worker.only_channels == ["a"]
        assert worker.message_retries == 3
        assert worker.signal_handlers is False


def test_setting_termed_stops_a_group_after_the_message_in_hand(
    make_layer: MakeLayer, start_group: Any
) -> None:
    in_hand, go_on = threading.Event(), threading.Event()
    done: list[int] = []

    def consumer(message: Message) -> None:
        in_hand.set()
        go_on.wait(5)
        done.append(message["n"])

    layer = make_layer([route("a", consumer)])
    layer.send("a", {"n": 1})
    group, runner = start_group(layer, n_threads=1)
    assert in_hand.wait(5)
    group.termed = True
    layer.send("a", {"n": 2})
    assert _becomes_true(lambda: group.sub_workers[0].termed)
    go_on.set()
    runner.join(5)
    assert not runner.is_alive()
    assert done == [1]
    assert drain(layer, "a") == [{"n": 2}]


def test_a_thread_that_dies_ends_the_group_with_exit_code_1(
    make_layer: MakeLayer, caplog: pytest.LogCaptureFixture
) -> None:
    layer = make_layer([route("a", lambda message: sys.exit(0))])
    layer.send("a", {})
    with pytest.raises(SystemExit) as exit_info:
        WorkerGroup(layer, n_threads=2, signal_handlers=False).run()
    assert exit_info.value.code == 1
    [record] = problems(caplog)
    assert record.levelname == "CRITICAL"
    assert record.exc_info


def _becomes_true(condition: Any) -> bool:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.01)
    return False
