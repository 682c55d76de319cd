"""Channels, groups, messages, and sends that are held until the consumer ends."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from typing import Any

import pytest

from channels import Channel, Group, route
from channels.asgi import ChannelLayerWrapper
from channels.exceptions import (
    ChannelLayerUnavailable,
    DenyConnection,
    MessageTooLarge,
    WebsocketCloseException,
)
from channels.layers import InMemoryChannelLayer
from channels.lifecycle import run_consumer
from channels.message import Message, pending_message_store
from channels.signals import consumer_finished
from channels.types import Sending

from .conftest import MakeLayer
from .tools import ForeignLayer, TurningLayer, drain, problems, work

Layer = ChannelLayerWrapper


def run(consumer: Callable[..., Any], layer: Any = None, **content: Any) -> Any:
    """Run ``consumer`` as a worker does."""
    return run_consumer(consumer, Message(content, "a", layer), {}, sender=object)


# Channels and groups


@pytest.mark.parametrize("make", [Channel, Group])
def test_the_text_of_a_sender_is_its_name(layer: Layer, make: Any) -> None:
    sender = make("name")
    assert str(sender) == "name"
    assert repr(sender) == f"<{make.__name__} name>"


@pytest.mark.parametrize("make", [Channel, Group])
def test_names_in_bytes_are_decoded_as_ascii(layer: Layer, make: Any) -> None:
    assert make(b"name").name == "name"
    with pytest.raises(UnicodeDecodeError):
        make("ä".encode())


@pytest.mark.parametrize("make", [Channel, Group])
def test_senders_copy_and_take_any_attribute(layer: Layer, make: Any) -> None:
    sender = make("name")
    sender.extra = 1
    twin = copy.copy(sender)
    assert (twin.name, twin.extra, twin.channel_layer) == ("name", 1, layer)


@pytest.mark.parametrize("make", [Channel, Group])
@pytest.mark.parametrize("content", ["x", None, [("a", 1)], b"{}"])
def test_content_that_is_no_dict_is_a_type_error(layer: Layer, make: Any, content: Any) -> None:
    with pytest.raises(TypeError, match=f"{make.__name__} name.*takes a dict, not"):
        make("name").send(content)
    with pytest.raises(TypeError, match="takes a dict"):
        run(lambda message: make("name").send(content))


@pytest.mark.parametrize("make", [Channel, Group])
def test_an_unknown_alias_is_a_key_error(make: Any) -> None:
    with pytest.raises(KeyError, match="'nope'"):
        make("name", "nope")


def test_outside_a_consumer_a_send_goes_out_at_once(layer: Layer) -> None:
    Channel("x").send({"n": 1})
    assert drain(layer, "x") == [{"n": 1}]


def test_outside_a_consumer_a_full_channel_raises(make_layer: MakeLayer) -> None:
    layer = make_layer(capacity=1)
    Channel("x").send({})
    with pytest.raises(layer.ChannelFull):
        Channel("x").send({})


def test_a_group_send_never_raises_channel_full(make_layer: MakeLayer) -> None:
    layer = make_layer(capacity=1)
    Channel("x").send({"n": 1})
    for member in ("x", "y"):
        Group("g").add(member)
    Group("g").send({"n": 2})
    assert drain(layer, "x") == [{"n": 1}]
    assert drain(layer, "y") == [{"n": 2}]


# Messages


def test_a_message_reads_and_writes_like_a_dict(layer: Layer) -> None:
    message = Message({"a": 1}, "x", layer)
    message["b"] = 2
    assert message["a"] == 1
    assert "b" in message
    assert "c" not in message
    assert message.get("b") == 2
    assert message.get("c") is None
    assert message.get("c", 3) == 3
    assert list(message.keys()) == ["a", "b"]
    assert list(message.values()) == [1, 2]
    assert list(message.items()) == [("a", 1), ("b", 2)]
    assert message.content == {"a": 1, "b": 2}
    with pytest.raises(KeyError):
        message["c"]


def test_a_copy_of_a_message_is_safe_to_mutate(layer: Layer) -> None:
    message = Message({"a": {"b": [1]}, "reply_channel": "r!1"}, "x", layer)
    twin = message.copy()
    twin["a"]["b"].append(2)
    twin["c"] = 3
    assert message.content == {"a": {"b": [1]}, "reply_channel": "r!1"}
    assert str(twin.channel) == "x"
    assert str(twin.reply_channel) == "r!1"
    assert twin.channel_layer is layer


def test_a_message_without_channel_and_layer_is_legal() -> None:
    message = Message({}, None, None)
    assert message.channel is None
    assert message.copy().channel is None
    assert repr(message) == "<Message on None: >"


def test_a_message_takes_any_attribute_and_shows_its_keys(layer: Layer) -> None:
    message = Message({"a": 1, "b": 2}, "x", layer)
    message.user = "u"  # type: ignore[attr-defined]
    assert repr(message) == "<Message on x: a, b>"


# Held sends


def test_in_a_consumer_sends_are_held_until_it_ends_and_keep_their_order(layer: Layer) -> None:
    def consumer(message: Message) -> None:
        for n in range(3):
            Channel("x").send({"n": n})
        assert drain(layer, "x") == []

    run(consumer)
    assert [content["n"] for content in drain(layer, "x")] == [0, 1, 2]


def test_channel_and_group_sends_keep_their_common_order(layer: Layer) -> None:
    def consumer(message: Message) -> None:
        Group("g").add("x")
        Channel("x").send({"n": 0})
        Group("g").send({"n": 1})
        Channel("x").send({"n": 2})

    run(consumer)
    assert [content["n"] for content in drain(layer, "x")] == [0, 1, 2]


@pytest.mark.parametrize("error", [RuntimeError, DenyConnection, SystemExit])
def test_held_sends_go_out_when_the_consumer_raises(
    layer: Layer, error: type[BaseException]
) -> None:
    def consumer(message: Message) -> None:
        Channel("x").send({"n": 1})
        raise error

    with pytest.raises(error):
        run(consumer)
    assert drain(layer, "x") == [{"n": 1}]


@pytest.mark.parametrize("make", [Channel, Group])
def test_immediately_sends_at_once(layer: Layer, make: Any) -> None:
    def consumer(message: Message) -> None:
        Group("name").add("name")
        make("name").send({"n": 1}, immediately=True)
        assert drain(layer, "name") == [{"n": 1}]

    run(consumer)
    assert drain(layer, "name") == []


def test_a_consumer_in_a_consumer_keeps_both_sets_of_held_sends(layer: Layer) -> None:
    def inner(message: Message) -> None:
        Channel("inner").send({"n": 1})

    def outer(message: Message) -> None:
        Channel("outer").send({"n": 1})
        run(inner)
        assert drain(layer, "inner") == [{"n": 1}]
        assert drain(layer, "outer") == []
        Channel("outer").send({"n": 2})
        assert pending_message_store.active

    run(outer)
    assert drain(layer, "outer") == [{"n": 1}, {"n": 2}]
    assert not pending_message_store.active


def test_sends_of_another_thread_are_not_held(layer: Layer) -> None:
    def consumer(message: Message) -> None:
        thread = threading.Thread(target=Channel("x").send, args=[{"n": 1}])
        thread.start()
        thread.join()
        assert drain(layer, "x") == [{"n": 1}]

    run(consumer)


@pytest.mark.parametrize("make", [Channel, Group])
def test_held_sends_are_validated_at_the_call(layer: Layer, make: Any) -> None:
    def bad_value(message: Message) -> None:
        with pytest.raises(TypeError, match=r'content\["a"\]: object'):
            make("name").send({"a": object()})

    def bad_name(message: Message) -> None:
        with pytest.raises(TypeError, match="'bad name'"):
            make("bad name").send({})

    run(bad_value)
    run(bad_name)


def test_held_sends_are_copied_at_the_call(layer: Layer) -> None:
    def consumer(message: Message) -> None:
        content = {"list": [1]}
        Channel("x").send(content)
        content["list"].append(2)

    run(consumer)
    assert drain(layer, "x") == [{"list": [1]}]


def test_groups_are_joined_and_left_at_once(layer: Layer) -> None:
    """Who joins in a consumer gets what it sent to the group before; who leaves does not."""

    def join(message: Message) -> None:
        Group("g").send({"n": 1})
        Group("g").add("x")
        assert Group("g").channels() == ["x"]

    def leave(message: Message) -> None:
        Group("g").send({"n": 2})
        Group("g").discard("x")
        assert Group("g").channels() == []

    run(join)
    assert drain(layer, "x") == [{"n": 1}]
    run(leave)
    assert drain(layer, "x") == []


def test_a_held_send_to_a_full_channel_is_tried_again(make_layer: MakeLayer) -> None:
    layer = make_layer(capacity=1)
    layer.send("x", {"n": 0})
    released = threading.Event()

    def consumer(message: Message) -> None:
        Channel("x").send({"n": 1})
        released.set()

    def reader() -> None:
        released.wait()
        got.append(layer.receive(["x"], block=True)[1])
        got.append(layer.receive(["x"], block=True)[1])

    got: list[Any] = []
    thread = threading.Thread(target=reader)
    thread.start()
    run(consumer)
    thread.join()
    assert got == [{"n": 0}, {"n": 1}]


def test_a_channel_that_stays_full_is_logged_and_the_rest_still_goes(
    make_layer: MakeLayer, quick_retries: None, caplog: pytest.LogCaptureFixture
) -> None:
    layer = make_layer(channel_capacity={"full": 1})
    layer.send("full", {"n": 0})

    def consumer(message: Message) -> None:
        Channel("full").send({"n": 1})
        Channel("x").send({"n": 2})

    run(consumer)
    assert drain(layer, "full") == [{"n": 0}]
    assert drain(layer, "x") == [{"n": 2}]
    [record] = problems(caplog)
    assert record.name == "django.channels"
    assert record.levelname == "ERROR"
    assert record.exc_info is None
    assert "A message to full is lost: Channel 'full' is full" in record.getMessage()


class Clock:
    """Stands for ``time``, and goes on only while somebody sleeps."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_the_time_for_retries_is_shared_by_all_held_sends(
    make_layer: MakeLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr("channels.pending.time", clock)
    layer = make_layer(channel_capacity={"full": 1})
    layer.send("full", {})

    def consumer(message: Message) -> None:
        for _ in range(10):
            Channel("full").send({})

    run(consumer)
    assert 2 <= clock.now < 2.1


def test_full_channels_are_retried_for_two_seconds() -> None:
    from channels import pending

    assert pending.RETRY_TIME == 2


def test_the_channel_full_of_a_foreign_layer_is_understood(
    layer: Layer, quick_retries: None, caplog: pytest.LogCaptureFixture
) -> None:
    foreign = ForeignLayer(capacity=1)
    foreign.send("full", {})

    def consumer(message: Message) -> None:
        Channel("full", channel_layer=foreign).send({})
        Channel("x", channel_layer=foreign).send({"n": 1})

    run(consumer)
    assert foreign.queues["x"] == [{"n": 1}]
    [record] = problems(caplog)
    assert record.exc_info is None


@pytest.mark.parametrize(
    ("error", "has_traceback"),
    [(ChannelLayerUnavailable("it is away"), False), (MessageTooLarge("it is big"), True)],
)
def test_a_failed_held_send_is_logged_and_the_rest_still_goes(
    layer: Layer, caplog: pytest.LogCaptureFixture, error: Exception, has_traceback: bool
) -> None:
    class Failing(ForeignLayer):
        def send(self, channel: str, message: Any) -> None:
            raise error

    def consumer(message: Message) -> None:
        Channel("x", channel_layer=Failing()).send({"n": 1})
        Channel("x").send({"n": 2})

    run(consumer)
    assert drain(layer, "x") == [{"n": 2}]
    [record] = problems(caplog)
    assert "A message to x is lost" in record.getMessage()
    assert (record.exc_info is not None) is has_traceback
    assert has_traceback or "it is away" in record.getMessage()


def test_consumer_finished_without_consumer_started_is_harmless(
    layer: Layer, caplog: pytest.LogCaptureFixture
) -> None:
    assert all(result is None for _, result in consumer_finished.send_robust(sender=object))
    assert problems(caplog) == []
    Channel("x").send({"n": 1})
    assert drain(layer, "x") == [{"n": 1}]


def test_the_store_can_be_driven_by_hand(layer: Layer) -> None:
    pending_message_store.prepare()
    Channel("x").send({"n": 1})
    pending_message_store.append(Channel("x"), {"n": 2})
    assert drain(layer, "x") == []
    pending_message_store.send_and_flush()
    assert drain(layer, "x") == [{"n": 1}, {"n": 2}]


# Held sends go together


def test_what_is_held_for_a_layer_is_sent_in_one_call(make_layer: MakeLayer) -> None:
    layer = make_layer(kind=TurningLayer)
    Group("g").add("x")

    def consumer(message: Message) -> None:
        Channel("x").send({"n": 0})
        Group("g").send({"n": 1})
        Channel("y").send({"n": 2})

    run(consumer)
    assert layer.calls == [("send_many", [("x", {"n": 0}), ("g", {"n": 1}), ("y", {"n": 2})])]
    assert drain(layer, "x") == [{"n": 0}, {"n": 1}]


def test_nothing_held_is_no_call(make_layer: MakeLayer) -> None:
    layer = make_layer(kind=TurningLayer)
    run(lambda message: None)
    assert layer.calls == []


def test_each_layer_gets_its_own_in_order_with_or_without_a_wrapper(layer: Layer) -> None:
    first, second = TurningLayer(), TurningLayer()
    wrapper = ChannelLayerWrapper(first, "first", [])

    def consumer(message: Message) -> None:
        for n, one in enumerate([first, second, wrapper, second, first]):
            Channel("x", channel_layer=one).send({"n": n})

    run(consumer)
    assert first.calls == [("send_many", [("x", {"n": n}) for n in (0, 2, 4)])]
    assert second.calls == [("send_many", [("x", {"n": n}) for n in (1, 3)])]


def test_a_layer_of_others_that_can_send_several_is_given_several() -> None:
    class Many(ForeignLayer):
        calls = 0

        def send_many(self, sendings: Any) -> list[None]:
            self.calls += 1
            for sending in sendings:
                self.send(sending.name, sending.message)
            return [None] * len(sendings)

    foreign = Many()

    def consumer(message: Message) -> None:
        for n in range(3):
            Channel("x", channel_layer=foreign).send({"n": n})

    run(consumer)
    assert foreign.calls == 1
    assert foreign.queues["x"] == [{"n": 0}, {"n": 1}, {"n": 2}]


@pytest.mark.parametrize("method", ["send", "send_group"])
def test_a_layer_whose_subclass_changes_a_single_send_gets_single_sends(
    make_layer: MakeLayer, method: str
) -> None:
    seen: list[Any] = []

    def changed(self: Any, name: str, message: Any) -> None:
        seen.append(name)
        getattr(super(Changed, self), method)(name, message)

    Changed: Any = type("Changed", (TurningLayer,), {method: changed})
    layer = make_layer(kind=Changed)
    Group("g").add("x")

    def consumer(message: Message) -> None:
        Channel("x").send({"n": 0})
        Group("g").send({"n": 1})
        Channel("x").send({"n": 2})

    run(consumer)
    assert layer.calls == []
    assert seen == (["x", "x"] if method == "send" else ["g"])
    assert [content["n"] for content in drain(layer, "x")] == [0, 1, 2]


def test_a_sender_whose_class_changes_send_is_asked_to_send(make_layer: MakeLayer) -> None:
    class Counting(Channel):
        immediate = 0

        def send(self, content: Any, immediately: bool = False) -> None:
            self.immediate += immediately
            super().send(content, immediately)

    layer = make_layer(kind=TurningLayer)
    sender = Counting("x")

    def consumer(message: Message) -> None:
        Channel("x").send({"n": 0})
        sender.send({"n": 1})
        Channel("x").send({"n": 2})

    run(consumer)
    assert sender.immediate == 1
    assert [content["n"] for content in drain(layer, "x")] == [0, 1, 2]


def test_a_channel_with_a_send_of_its_own_is_honoured_beside_others(
    make_layer: MakeLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer, seen = make_layer(), []
    special, plain = Channel("x"), Channel("x")

    def consumer(message: Message) -> None:
        special.send({"n": 0})
        plain.send({"n": 1})
        send = special.send
        special.send = lambda *args, **kw: (seen.append(args), send(*args, **kw))  # type: ignore[method-assign]

    run(consumer)
    assert seen == [({"n": 0},)]
    assert drain(layer, "x") == [{"n": 0}, {"n": 1}]


def test_layers_and_senders_of_others_see_dicts(make_layer: MakeLayer) -> None:
    class Sealing(InMemoryChannelLayer):
        def encode(self, message: Any) -> bytes:
            return super().encode(message | {"sealed": True})

    class Noting(InMemoryChannelLayer):
        def send_many(self, sendings: Any) -> Any:
            notes.extend(type(sending.message) for sending in sendings)
            return super().send_many(sendings)

    class Stamping(Channel):
        def sending(self, content: Any) -> Sending:
            content["stamp"] = 1
            return super().sending(content)

    def consumer(message: Message) -> None:
        Channel("x").send({"n": 0})
        Stamping("x").send({"n": 1})

    notes: list[type] = []
    for kind, extra in ((InMemoryChannelLayer, {}), (Sealing, {"sealed": True}), (Noting, {})):
        layer = make_layer(kind=kind)
        run(consumer)
        assert drain(layer, "x") == [{"n": 0} | extra, {"n": 1, "stamp": 1} | extra]
    assert notes == [dict, dict]


def test_any_object_that_can_send_may_be_held(layer: Layer) -> None:
    class Foreign:
        channel_layer = layer
        sent: tuple[Any, ...] = ()

        def send(self, content: Any, immediately: bool = False) -> None:
            self.sent += (content, immediately)

    sender: Any = Foreign()
    run(lambda message: pending_message_store.append(sender, {"n": 1}))
    assert sender.sent == ({"n": 1}, True)


def test_what_met_full_channels_is_tried_again_together_and_in_order(
    make_layer: MakeLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = make_layer(kind=TurningLayer, channel_capacity={"a": 1, "b": 1})
    seen: list[Any] = []

    def pause(seconds: float) -> None:
        seen.append({name: [c["n"] for c in drain(layer, name)] for name in ("a", "b", "free")})

    monkeypatch.setattr("channels.pending.time.sleep", pause)

    def consumer(message: Message) -> None:
        for n, name in enumerate(["a", "a", "b", "free", "b", "a"]):
            Channel(name).send({"n": n})

    run(consumer)
    assert seen == [{"a": [0], "b": [2], "free": [3]}, {"a": [1], "b": [4], "free": []}]
    assert [content["n"] for content in drain(layer, "a")] == [5]
    tries = [[content["n"] for _, content in sent] for _, sent in layer.calls]
    assert tries == [[0, 1, 2, 3, 4, 5], [1, 4, 5], [5]]


@pytest.mark.parametrize(
    ("error", "fate"),
    [
        (ChannelLayerUnavailable("it is away"), "is lost: it is away"),
        (ChannelLayerUnavailable("no answer", may_have_arrived=True), "may be lost: no answer"),
        (MessageTooLarge("it is big"), "is lost."),
    ],
)
@pytest.mark.parametrize("is_raised", [False, True])
def test_what_failed_together_is_logged_and_never_sent_again(
    layer: Layer,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    fate: str,
    is_raised: bool,
) -> None:
    class Failing(InMemoryChannelLayer):
        calls = 0

        def send_many(self, sendings: Any) -> list[Exception | None]:
            self.calls += 1
            if is_raised:
                raise error
            return [error, error]

    failing = Failing()

    def consumer(message: Message) -> None:
        for name in "xy":
            Channel(name, channel_layer=failing).send({"n": 1})
        Channel("x").send({"n": 2})

    run(consumer)
    assert failing.calls == 1
    assert drain(layer, "x") == [{"n": 2}]
    records = problems(caplog)
    assert [record.getMessage() for record in records] == [
        f"A message to {name} {fate}" for name in "xy"
    ]
    has_traceback = isinstance(error, MessageTooLarge)
    assert all((record.exc_info is not None) is has_traceback for record in records)


def test_a_layer_that_is_gone_when_the_consumer_ends_is_logged(
    layer: Layer, caplog: pytest.LogCaptureFixture
) -> None:
    class Gone(Channel):
        @property
        def channel_layer(self) -> Any:
            raise KeyError("the layer was removed")

    def consumer(message: Message) -> None:
        Gone("gone", channel_layer=layer).send({})
        Channel("x").send({"n": 1})

    run(consumer)
    assert drain(layer, "x") == [{"n": 1}]
    [record] = problems(caplog)
    assert "A message to gone is lost" in record.getMessage()


# What a consumer raises to act on its socket


def test_a_close_keeps_its_place_behind_what_the_consumer_sent(layer: Layer) -> None:
    def consumer(message: Message) -> None:
        assert message.reply_channel is not None
        message.reply_channel.send({"text": "bye"})
        raise WebsocketCloseException(3001)

    assert run(consumer, reply_channel="r!1") is None
    assert drain(layer, "r!") == [{"text": "bye"}, {"close": 3001}]


def test_a_close_is_tried_again_when_the_channel_is_full(
    make_layer: MakeLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = make_layer(capacity=1)
    layer.send("r!1", {"n": 0})

    def consumer(message: Message) -> None:
        raise WebsocketCloseException

    # The reader is slow: it takes its first message while the worker pauses.
    monkeypatch.setattr("channels.pending.time.sleep", lambda seconds: drain(layer, "r!"))
    run(consumer, reply_channel="r!1")
    assert drain(layer, "r!") == [{"close": True}]


@pytest.mark.parametrize("code", [None, 1000, 3000, 4999])
def test_close_codes_that_an_application_may_send(layer: Layer, code: int | None) -> None:
    WebsocketCloseException(code).run(Message({"reply_channel": "any-name"}, "a", layer))
    assert drain(layer, "any-name") == [{"close": code or True}]


@pytest.mark.parametrize("code", [5, 0, 999, 1001, 2999, 5000, True, 3000.5, "4000"])
def test_other_close_codes_are_refused(code: Any) -> None:
    with pytest.raises(ValueError, match=f"{code!r} is not a close code"):
        WebsocketCloseException(code)


def test_a_close_without_reply_channel_is_a_value_error_in_the_log(
    make_layer: MakeLayer, caplog: pytest.LogCaptureFixture
) -> None:
    def consumer(message: Message) -> None:
        raise WebsocketCloseException

    layer = make_layer([route("a", consumer)])
    layer.send("a", {})
    work(layer)
    [record] = problems(caplog)
    assert record.exc_info
    assert "has no reply_channel" in str(record.exc_info[1])
