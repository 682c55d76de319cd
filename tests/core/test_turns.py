"""A worker's turn: what a consumer sent goes out with the worker's next receive."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from channels import Channel, Group, route
from channels.asgi import ChannelLayerWrapper
from channels.exceptions import (
    ChannelLayerUnavailable,
    ConsumeLater,
    DenyConnection,
    WebsocketCloseException,
)
from channels.layers.redis import RedisChannelLayer
from channels.lifecycle import run_consumer
from channels.message import Message, pending_message_store
from channels.pending import SENDS_AND_RECEIVES
from channels.sessions.watch import Watch
from channels.signals import consumer_finished, consumer_started
from channels.test.layer_cases.base import InThread, receive_soon
from channels.utils import most_derived
from channels.worker import Worker

from ..redis_server import RedisServer
from .conftest import MakeLayer
from .tools import CountedWorker, ForeignLayer, TurningLayer, drain, problems, work


@pytest.fixture
def serve(make_layer: MakeLayer) -> Callable[..., Any]:
    """Makes a layer that takes turns, whose messages on ``a`` go to a consumer."""

    def make(consumer: Any, kind: Any = TurningLayer, messages: int = 1, **keywords: Any) -> Any:
        layer = make_layer([route("a", consumer)], kind=kind, **keywords)
        for n in range(1, messages + 1):
            layer.send("a", {"n": n})
        return layer

    return make


def echo(message: Message) -> None:
    Channel("x").send({"n": message["n"]})


def numbers(layer: Any, channel: str) -> list[int]:
    return [content["n"] for content in drain(layer, channel)]


@contextmanager
def at_the_end_of_consumers(receiver: Callable[..., None]) -> Iterator[None]:
    consumer_finished.connect(receiver)
    try:
        yield
    finally:
        consumer_finished.disconnect(receiver)


# When it goes out


def test_what_a_consumer_sent_goes_with_the_next_receive(serve: Any) -> None:
    def consumer(message: Message) -> None:
        Channel("x").send({"n": message["n"]})
        Group("g").send({"n": message["n"]})

    layer = serve(consumer, messages=3)
    work(layer, rounds=3)
    assert [call for call, _ in layer.calls] == ["turn", "turn", "send_many"]
    assert [sent for _, sent in layer.calls] == [
        [("x", {"n": n}), ("g", {"n": n})] for n in (1, 2, 3)
    ]
    assert numbers(layer, "x") == [1, 2, 3]


def test_an_idle_worker_keeps_nothing_back(serve: Any) -> None:
    layer = serve(echo)
    worker = Worker(layer, signal_handlers=False)
    running = InThread(worker.run)
    try:
        assert receive_soon(layer, ["x"]) == ("x", {"n": 1})
    finally:
        worker.termed = True
    running.outcome()
    assert [call for call, _ in layer.calls] == ["turn"]


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_what_was_sent_goes_out_when_a_consumer_ends_the_worker(
    serve: Any, error: type[BaseException]
) -> None:
    def consumer(message: Message) -> None:
        echo(message)
        raise error

    layer = serve(consumer)
    with pytest.raises(error):
        work(layer)
    assert numbers(layer, "x") == [1]


def test_what_was_sent_goes_out_when_something_between_two_turns_raises(serve: Any) -> None:
    class Breaking(CountedWorker):
        @property
        def termed(self) -> bool:
            self.rounds -= 1
            if self.rounds < 0:
                raise RuntimeError("on purpose")
            return False

        @termed.setter
        def termed(self, value: bool) -> None:
            pass

    layer = serve(echo)
    worker = Breaking(layer, signal_handlers=False)
    worker.rounds = 1
    with pytest.raises(RuntimeError, match="on purpose"):
        worker.run()
    assert numbers(layer, "x") == [1]


def test_what_was_sent_goes_out_before_a_look_at_parked_disconnects(
    serve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Watching(Watch):
        seen: tuple[Any, ...] = ()

        def __len__(self) -> int:
            return 1

        def look(self) -> None:
            self.seen += (numbers(layer, "x"),)

    watching = Watching()
    monkeypatch.setattr("channels.worker.watch", watching)
    layer = serve(echo, messages=2)
    work(layer, rounds=2)
    assert watching.seen == ([1], [2])


def test_each_worker_of_a_group_sends_what_its_own_consumers_sent(
    serve: Any, start_group: Any
) -> None:
    both = threading.Barrier(2)

    def consumer(message: Message) -> None:
        echo(message)
        both.wait(5)

    layer = serve(consumer, messages=2)
    group, runner = start_group(layer, n_threads=2)
    found = [receive_soon(layer, ["x"])[1]["n"] for _ in range(2)]
    group.termed = True
    runner.join(5)
    assert sorted(found) == [1, 2]
    assert sorted(len(sent) for _, sent in layer.calls) == [1, 1]


# Order


def test_a_denial_keeps_its_place_behind_what_the_consumer_sent(make_layer: MakeLayer) -> None:
    def consumer(message: Message) -> None:
        assert message.reply_channel is not None
        message.reply_channel.send({"text": "no"})
        raise DenyConnection

    layer: Any = make_layer([route("websocket.connect", consumer)], kind=TurningLayer)
    layer.send("websocket.connect", {"reply_channel": "r!1"})
    work(layer, rounds=2)
    assert layer.calls == [("turn", [("r!1", {"text": "no"}), ("r!1", {"close": True})])]


def test_a_message_that_is_put_back_keeps_its_place_behind_what_the_consumer_sent(
    serve: Any,
) -> None:
    def consumer(message: Message) -> None:
        if message["n"] == 1 and "__retries__" not in message:
            Channel("a").send({"n": 2})
            raise ConsumeLater
        echo(message)

    layer = serve(consumer)
    work(layer, rounds=3)
    assert layer.calls[0] == ("turn", [("a", {"n": 2}), ("a", {"n": 1, "__retries__": 1})])
    assert numbers(layer, "x") == [2, 1]


def test_a_close_keeps_its_place_behind_what_the_consumer_sent(serve: Any) -> None:
    def consumer(message: Message) -> None:
        message.reply_channel = Channel("r!1")
        message.reply_channel.send({"text": "bye"})
        raise WebsocketCloseException

    layer = serve(consumer)
    work(layer)
    assert layer.calls == [("send_many", [("r!1", {"text": "bye"}), ("r!1", {"close": True})])]


def test_what_is_done_at_the_end_of_a_consumer_comes_after_what_it_sent(serve: Any) -> None:
    def consumer(message: Message) -> None:
        Group("g").send({"n": 1})
        Channel("x").send({"n": 2})

    def finish(**kwargs: Any) -> None:
        Channel("x").send({"n": 3})
        Group("g").discard("x")

    layer = serve(consumer)
    Group("g").add("x")
    with at_the_end_of_consumers(finish):
        work(layer, rounds=2)
    assert numbers(layer, "x") == [1, 2, 3]


@pytest.mark.parametrize(
    "act",
    [
        lambda: Group("g").add("late"),
        lambda: Group("g").discard("x"),
        lambda: Group("g").channels(),
        lambda: Group("g").send({"n": 2}),
        lambda: Channel("x").send({"n": 2}),
        lambda: Channel("x").send({"n": 2}, immediately=True),
    ],
)
def test_whatever_is_done_at_once_comes_after_what_was_sent(
    serve: Any, act: Callable[[], Any]
) -> None:
    def finish(**kwargs: Any) -> None:
        assert layer.calls == []
        act()
        assert layer.calls == [("send_many", [("g", {"n": 1})])]
        passed.append(True)

    passed: list[bool] = []
    layer = serve(lambda message: Group("g").send({"n": 1}))
    Group("g").add("x")
    with at_the_end_of_consumers(finish):
        work(layer)
    assert passed
    assert numbers(layer, "x")[0] == 1
    assert numbers(layer, "late") == []


# What is not delayed


def test_outside_of_a_worker_nothing_is_delayed(serve: Any) -> None:
    layer = serve(echo)
    run_consumer(echo, Message({"n": 1}, "a", layer), {}, sender=object)
    assert numbers(layer, "x") == [1]


def test_a_consumer_in_a_consumer_sends_when_it_ends(serve: Any) -> None:
    def consumer(message: Message) -> None:
        run_consumer(echo, message, {}, sender=object)
        assert numbers(layer, "x") == [1]
        Channel("y").send({"n": 2})

    layer = serve(consumer)
    work(layer)
    assert numbers(layer, "y") == [2]


def flush_by_hand() -> None:
    pending_message_store.send_and_flush()
    pending_message_store.prepare()


def flush_by_signals() -> None:
    consumer_finished.send(sender=object)
    consumer_started.send(sender=object)


@pytest.mark.parametrize("flush", [flush_by_hand, flush_by_signals])
def test_a_flush_inside_of_a_consumer_sends_at_once(
    serve: Any, flush: Callable[[], None], caplog: pytest.LogCaptureFixture
) -> None:
    def consumer(message: Message) -> None:
        echo(message)
        flush()
        assert numbers(layer, "x") == [1]

    layer = serve(consumer)
    work(layer)
    assert problems(caplog) == []


def test_sends_to_other_layers_go_out_when_the_consumer_ends(serve: Any) -> None:
    other, foreign = TurningLayer(), ForeignLayer()
    seen: list[Any] = []

    def consumer(message: Message) -> None:
        for one in (other, foreign, None):
            Channel("x", channel_layer=one).send({"n": 1})

    def finish(**kwargs: Any) -> None:
        seen.append((other.calls, foreign.queues, layer.calls[:]))

    layer = serve(consumer)
    with at_the_end_of_consumers(finish):
        work(layer, rounds=2)
    sent = [("x", {"n": 1})]
    assert seen == [([("send_many", sent)], {"x": [{"n": 1}]}, [])]
    assert layer.calls == [("turn", sent)]


@pytest.mark.parametrize("method", ["send", "send_group", "receive", "receive_many"])
def test_a_layer_whose_subclass_changes_a_part_of_a_turn_takes_none(
    serve: Any, method: str
) -> None:
    calls: list[str] = []

    def changed(self: Any, *arguments: Any, **keywords: Any) -> Any:
        calls.append(method)
        return getattr(super(Partly, self), method)(*arguments, **keywords)

    def consumer(message: Message) -> None:
        echo(message)
        Group("g").send({"n": 0})

    Partly: Any = type("Partly", (TurningLayer,), {method: changed})
    layer = serve(consumer)
    layer.channel_layer = Partly()
    layer.send("a", {"n": 1})
    calls.clear()
    work(layer, rounds=2)
    assert "turn" not in [call for call, _ in layer.calls]
    assert calls
    assert numbers(layer, "x") == [1]


class Changed(Channel):
    def send(self, content: Any, immediately: bool = False) -> None:
        super().send({**content, "at once": immediately}, immediately)


def test_a_denial_over_a_sender_whose_class_changes_send_is_not_delayed(
    make_layer: MakeLayer,
) -> None:
    def consumer(message: Message) -> None:
        Channel("r!1").send({"text": "no"})
        message.reply_channel = Changed("r!1")
        raise DenyConnection

    layer = make_layer([route("websocket.connect", consumer)], kind=TurningLayer)
    layer.send("websocket.connect", {"reply_channel": "r!1"})
    work(layer)
    assert drain(layer, "r!") == [{"text": "no"}, {"close": True, "at once": True}]


def test_a_sender_whose_class_changes_send_is_not_delayed(serve: Any) -> None:
    def consumer(message: Message) -> None:
        echo(message)
        Changed("x").send({"n": 2})

    layer = serve(consumer)
    work(layer, rounds=2)
    assert layer.calls == []
    assert drain(layer, "x") == [{"n": 1}, {"n": 2, "at once": True}]


# Failures


def test_full_channels_are_tried_again_before_the_message_of_the_turn_is_handled(
    serve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[Any] = []

    def consumer(message: Message) -> None:
        events.append(("handled", message["n"]))
        if message["n"] == 1:
            for n in (1, 2, 3):
                Channel("small").send({"n": n})

    def pause(seconds: float) -> None:
        events.append(("read", numbers(layer, "small")))

    monkeypatch.setattr("channels.pending.time.sleep", pause)
    layer = serve(consumer, messages=2, channel_capacity={"small": 1})
    work(layer, rounds=2)
    assert events == [("handled", 1), ("read", [1]), ("read", [2]), ("handled", 2)]
    assert numbers(layer, "small") == [3]


def test_a_message_is_handled_though_its_worker_is_interrupted_while_it_tries_again(
    serve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    handled: list[int] = []

    def consumer(message: Message) -> None:
        handled.append(message["n"])
        if message["n"] == 1:
            for n in (1, 2):
                Channel("small").send({"n": n})

    def pause(seconds: float) -> None:
        drain(layer, "small")
        raise KeyboardInterrupt

    monkeypatch.setattr("channels.pending.time.sleep", pause)
    layer = serve(consumer, messages=2, channel_capacity={"small": 1})
    with pytest.raises(KeyboardInterrupt):
        work(layer, rounds=2)
    assert handled == [1, 2]
    assert numbers(layer, "small") == [2]


def test_a_channel_that_stays_full_is_logged_and_the_worker_goes_on(
    serve: Any, quick_retries: None, caplog: pytest.LogCaptureFixture
) -> None:
    layer = serve(echo, messages=3, channel_capacity={"x": 1})
    work(layer, rounds=3)
    assert numbers(layer, "x") == [1]
    assert [record.getMessage()[:38] for record in problems(caplog)] == [
        "A message to x is lost: Channel 'x' is"
    ] * 2


@pytest.mark.parametrize(
    ("error", "has_traceback"),
    [(ChannelLayerUnavailable("away"), False), (RuntimeError("broken"), True)],
)
def test_what_a_failed_turn_may_have_sent_is_logged_and_not_sent_again(
    serve: Any,
    quick_retries: None,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    has_traceback: bool,
) -> None:
    class Failing(TurningLayer):
        def turn(self, sendings: Any, channels: Any) -> Any:
            super().send_many(sendings)
            raise error

    layer = serve(echo, kind=Failing, messages=2)
    work(layer, rounds=3)
    assert numbers(layer, "x") == [1, 2]
    assert [len(sent) for _, sent in layer.calls] == [1, 1]
    first, second, *_ = problems(caplog)
    assert "A message to x may be lost" in first.getMessage()
    assert "cannot receive" in second.getMessage()
    assert (second.exc_info is not None) is has_traceback


def test_what_failed_in_a_turn_is_logged_and_the_rest_goes_out(
    serve: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def consumer(message: Message) -> None:
        if message["n"] == 1:
            Channel("x").send({"n": 1, "text": "y" * 2000})
        echo(message)

    layer = serve(consumer, messages=2, max_message_size=1000)
    work(layer, rounds=2)
    assert numbers(layer, "x") == [1, 2]
    [record] = problems(caplog)
    assert record.getMessage() == "A message to x is lost."
    assert record.exc_info


# On Redis


def on_redis(layer: RedisChannelLayer, consumer: Any) -> ChannelLayerWrapper:
    return ChannelLayerWrapper(layer, "redis", [route("a", consumer)])


def reply(message: Message) -> None:
    for n in range(3):
        Channel("r!1", channel_layer=message.channel_layer).send({"n": 3 * message["n"] + n})


def test_the_redis_layer_takes_turns(redis_layer: RedisChannelLayer) -> None:
    assert most_derived(redis_layer, ["turn", *SENDS_AND_RECEIVES]) == "turn"


def test_a_worker_on_redis_sends_what_its_consumers_send(redis_layer: RedisChannelLayer) -> None:
    for n in range(20):
        redis_layer.send("a", {"n": n})
    work(on_redis(redis_layer, reply), rounds=20)
    assert [receive_soon(redis_layer, ["r!"])[1]["n"] for _ in range(60)] == list(range(60))


def test_full_channels_on_redis_are_tried_again(
    redis_config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = RedisChannelLayer(**redis_config, channel_capacity={"r": 2})
    found: list[int] = []

    def pause(seconds: float) -> None:
        found.extend(numbers(layer, "r!"))

    monkeypatch.setattr("channels.pending.time.sleep", pause)
    try:
        for n in range(2):
            layer.send("a", {"n": n})
        work(on_redis(layer, reply), rounds=2)
        assert found + numbers(layer, "r!") == list(range(6))
    finally:
        layer.flush()
        layer.close()


def test_a_worker_goes_on_after_a_restart_of_redis() -> None:
    with RedisServer() as server:
        layer = RedisChannelLayer([server.url])
        worker = Worker(on_redis(layer, reply), signal_handlers=False)
        running = InThread(worker.run)
        try:
            for n in range(2):
                layer.send("a", {"n": n})
                assert [receive_soon(layer, ["r!"])[1]["n"] - 3 * n for _ in range(3)] == [0, 1, 2]
                server.restart()
                layer.receive(["r!"], block=True)  # which waits for the server
        finally:
            worker.termed = True
            running.outcome()
            layer.close()
