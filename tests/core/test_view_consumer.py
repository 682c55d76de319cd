"""The consumer of HTTP requests: replies, flow control, and clients that left."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse

from channels import Channel, replies, route
from channels.asgi import ChannelLayerWrapper
from channels.exceptions import ChannelLayerUnavailable
from channels.handler import AsgiHandler, ViewConsumer
from channels.lifecycle import run_consumer
from channels.message import Message
from channels.replies import ClientGone, ReplySender

from .conftest import MakeLayer
from .tools import REPLIES, REPLY_CHANNEL, ForeignLayer, drain, problems, request_message, work
from .urls import notes

Layer = ChannelLayerWrapper
pytestmark = pytest.mark.urls("tests.core.urls")


@pytest.fixture(autouse=True)
def no_notes() -> Iterator[None]:
    notes.clear()
    yield
    notes.clear()


def stream(layer: Any, parts: int, **content: Any) -> Message:
    """A request for a response of so many parts."""
    query = f"n={parts}".encode()
    return request_message(layer, path="/stream/", query_string=query, **content)


def test_the_view_consumer_sends_the_response_to_the_reply_channel(layer: Layer) -> None:
    consumer = ViewConsumer()
    for _ in range(2):
        consumer(request_message(layer, path="/hello/"))
        [reply] = drain(layer, REPLIES)
        assert (reply["status"], reply["content"]) == (200, b"hello")
    assert consumer.handler is consumer.handler


def test_the_handler_class_of_a_view_consumer_may_be_replaced(layer: Layer) -> None:
    class Handler(AsgiHandler):
        def get_response(self, request: HttpRequest) -> HttpResponse:
            return HttpResponse(b"own")

    class Consumer(ViewConsumer):
        handler_class = Handler

    Consumer()(request_message(layer))
    assert drain(layer, REPLIES)[0]["content"] == b"own"


def test_replies_are_not_held(layer: Layer) -> None:
    seen: list[Any] = []

    def consumer(message: Message) -> None:
        Channel("x").send({})
        ViewConsumer()(message)
        seen.extend(drain(layer, REPLIES))
        assert drain(layer, "x") == []

    run_consumer(consumer, stream(layer, 2), {}, sender=object)
    assert [reply.get("content") for reply in seen] == [b"0", b"1", None]


def test_response_later_sends_nothing(layer: Layer) -> None:
    ViewConsumer()(request_message(layer, path="/later/"))
    assert drain(layer, REPLIES) == []


def test_a_request_without_reply_channel_is_a_value_error(layer: Layer) -> None:
    with pytest.raises(ValueError, match="no reply_channel"):
        ViewConsumer()(request_message(layer, reply_channel=None))


# Errors


def test_an_error_in_mid_stream_cuts_the_response_and_is_logged(
    make_layer: MakeLayer, caplog: pytest.LogCaptureFixture
) -> None:
    layer = make_layer([route("http.request", ViewConsumer())])
    layer.send("http.request", request_message(layer, path="/broken-stream/").content)
    work(layer)
    first, second = drain(layer, REPLIES)
    assert first["content"] == b"first"
    assert second == {"aborted": True}
    assert notes == ["closed"]
    [record] = problems(caplog)
    assert record.exc_info
    assert str(record.exc_info[1]) == "the stream breaks"


def test_an_error_before_the_response_gets_a_plain_500(layer: Layer) -> None:
    message = request_message(layer)
    del message.content["path"]
    with pytest.raises(KeyError):
        ViewConsumer()(message)
    [reply] = drain(layer, REPLIES)
    assert (reply["status"], reply["content"]) == (500, b"Internal Server Error")


def test_middleware_that_cannot_be_loaded_gets_a_plain_500(layer: Layer, settings: Any) -> None:
    settings.MIDDLEWARE = ["no.such.middleware"]
    with pytest.raises(ImportError):
        ViewConsumer()(request_message(layer, path="/hello/"))
    assert drain(layer, REPLIES)[0]["status"] == 500


def test_a_view_that_exits_gets_a_plain_500(layer: Layer) -> None:
    with pytest.raises(SystemExit):
        ViewConsumer()(request_message(layer, path="/exit/"))
    [reply] = drain(layer, REPLIES)
    assert (reply["status"], reply["content"]) == (500, b"Internal Server Error")


def test_an_error_with_the_layer_away_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    class Away(ForeignLayer):
        def send(self, channel: str, message: Any) -> None:
            raise ChannelLayerUnavailable("it is away")

    with pytest.raises(ChannelLayerUnavailable):
        ViewConsumer()(request_message(Away(), path="/hello/"))
    [record] = problems(caplog)
    assert record.getMessage() == "The end of a failed HTTP response is lost: it is away"


# Full reply channels


def test_a_full_reply_channel_does_not_hold_the_worker_for_ever(
    make_layer: MakeLayer,
    quick_retries: None,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(replies, "STALL_TIMEOUT", 0.1)
    layer = make_layer(capacity=2)
    started = time.monotonic()
    ViewConsumer()(stream(layer, 9))
    assert time.monotonic() - started < 10
    assert [reply["content"] for reply in drain(layer, REPLIES)] == [b"0", b"1"]
    assert notes == ["closed"]
    [record] = problems(caplog)
    assert "The end of a failed HTTP response is lost" in record.getMessage()


def test_a_reply_channel_that_was_full_for_a_moment_loses_nothing(
    make_layer: MakeLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = make_layer(capacity=2)
    got: list[Any] = []
    pauses = "channels.pending.time.sleep"
    monkeypatch.setattr(pauses, lambda seconds: got.extend(drain(layer, REPLIES)))
    ViewConsumer()(stream(layer, 5))
    got += drain(layer, REPLIES)
    assert [reply.get("content") for reply in got] == [b"0", b"1", b"2", b"3", b"4", None]


# Flow control


class Client:
    """Reads a response in another thread, as an interface server that acknowledges."""

    def __init__(self, layer: Any) -> None:
        self.layer = layer
        self.replies: list[dict[str, Any]] = []

    def read(self, count: int) -> None:
        while count:
            _, reply = self.layer.receive([REPLIES], block=True)
            if reply is not None:
                self.replies.append(reply)
                count -= 1

    def acknowledge(self, **answer: Any) -> None:
        self.layer.send(self.replies[0]["ack_channel"], answer)


def test_a_response_of_one_message_asks_for_no_acknowledgement(layer: Layer) -> None:
    ViewConsumer()(request_message(layer, path="/hello/", acknowledges=True))
    assert "ack_channel" not in drain(layer, REPLIES)[0]


def test_a_server_that_does_not_acknowledge_gets_everything_at_once(layer: Layer) -> None:
    ViewConsumer()(stream(layer, 50))
    got = drain(layer, REPLIES)
    assert len(got) == 51
    assert "ack_channel" not in got[0]


def test_no_more_than_the_window_is_sent_unacknowledged(layer: Layer) -> None:
    window = replies.WINDOW
    client = Client(layer)
    sender = threading.Thread(
        target=ViewConsumer(), args=[stream(layer, window + 4, acknowledges=True)]
    )
    sender.start()
    client.read(window)
    assert client.replies[0]["ack_channel"].startswith("http.response.ack?")
    assert drain(layer, REPLIES) == []
    client.acknowledge(acknowledged=1)
    client.read(1)
    assert drain(layer, REPLIES) == []
    client.acknowledge(acknowledged=0)  # an old one, late
    client.acknowledge(acknowledged=window)
    client.read(4)
    sender.join(5)
    assert not sender.is_alive()
    contents = [reply.get("content", b"") for reply in client.replies]
    assert contents == [b"%d" % n for n in range(window + 4)] + [b""]


def test_a_client_that_leaves_ends_the_view(layer: Layer) -> None:
    client = Client(layer)
    sender = threading.Thread(target=ViewConsumer(), args=[stream(layer, 99, acknowledges=True)])
    sender.start()
    client.read(replies.WINDOW)
    client.acknowledge(closed=True)
    sender.join(5)
    assert not sender.is_alive()
    assert notes == ["closed"]
    assert drain(layer, REPLIES) == [{"aborted": True}]


def test_a_slow_view_learns_with_its_next_part_that_the_client_left(
    layer: Layer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replies, "LOOK_SECONDS", 0)
    sender = ReplySender(request_message(layer, acknowledges=True))
    sender.send({"status": 200, "content": b"0", "more_content": True})
    [first] = drain(layer, REPLIES)
    for number in (1, 2):
        layer.send(first["ack_channel"], {"acknowledged": number})
        sender.send({"content": b"%d" % number, "more_content": True})
    layer.send(first["ack_channel"], {"acknowledged": 3})
    layer.send(first["ack_channel"], {"closed": True})
    with pytest.raises(ClientGone):
        sender.send({"content": b"3", "more_content": True})
    assert sender.acknowledged == 3


def test_a_quick_view_does_not_ask_with_every_part(layer: Layer) -> None:
    sender = ReplySender(request_message(layer, acknowledges=True))
    sender.send({"status": 200, "content": b"0", "more_content": True})
    [first] = drain(layer, REPLIES)
    layer.send(first["ack_channel"], {"closed": True})
    sender.send({"content": b"1", "more_content": True})
    assert len(drain(layer, first["ack_channel"])) == 1


def test_a_client_that_takes_nothing_ends_the_view(
    layer: Layer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replies, "STALL_TIMEOUT", 0.1)
    ViewConsumer()(stream(layer, 99, acknowledges=True))
    *sent, last = drain(layer, REPLIES)
    assert len(sent) == replies.WINDOW
    assert last == {"aborted": True}
    assert notes == ["closed"]


def test_the_reply_channel_of_these_tests_is_process_specific() -> None:
    assert REPLY_CHANNEL.startswith(REPLIES)
