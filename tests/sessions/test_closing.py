"""The sessions of a socket end with it."""

from __future__ import annotations

from typing import Any

import pytest

from channels import route
from channels.asgi import ChannelLayerWrapper
from channels.exceptions import ConsumeLater
from channels.message import Message
from channels.sessions import channel_session, closing, enforce_ordering, ordering
from channels.sessions.gaps import gap_session
from channels.test import WSClient, apply_routes
from channels.worker import Worker

from .tools import REPLY_CHANNEL, drain, row_exists, socket_message

WAIT_CHANNEL = "__wait__.websocket.send.process?socket"

pytestmark = [pytest.mark.usefixtures("file_sessions"), pytest.mark.django_db]


class OneMessage(Worker):
    """A worker that takes one message."""

    def _handle(self, name: str, content: Any) -> None:
        super()._handle(name, content)
        self.termed = True


def work(layer: ChannelLayerWrapper, consumer: Any, channel: str, **content: Any) -> None:
    """Let a worker run ``consumer`` on one message of the socket."""
    layer.routing = [route(channel, consumer)]
    vars(layer).pop("router", None)
    layer.send(channel, {"reply_channel": REPLY_CHANNEL, **content})
    OneMessage(layer, signal_handlers=False).run()


@channel_session
def decorated(message: Message) -> None:
    message.channel_session["a"] = 1


def plain(message: Message) -> None:
    pass


@pytest.mark.parametrize("consumer", [decorated, plain])
def test_the_session_is_removed_after_the_disconnect_consumer(
    layer: ChannelLayerWrapper, consumer: Any
) -> None:
    decorated(socket_message())
    work(layer, consumer, "websocket.disconnect")
    assert not row_exists()


def test_it_is_removed_when_the_consumer_raises(layer: ChannelLayerWrapper) -> None:
    @channel_session
    def broken(message: Message) -> None:
        assert row_exists()
        raise KeyError

    work(layer, broken, "websocket.disconnect")
    assert not row_exists()


def test_other_messages_leave_it(layer: ChannelLayerWrapper) -> None:
    work(layer, decorated, "websocket.receive")
    assert row_exists()


def test_it_stays_while_the_disconnect_is_to_be_consumed_later(
    layer: ChannelLayerWrapper,
) -> None:
    @channel_session
    def later(message: Message) -> None:
        raise ConsumeLater

    work(layer, later, "websocket.disconnect")
    assert row_exists()
    (content,) = drain("websocket.disconnect")
    work(layer, later, "websocket.disconnect", **{**content, "__retries__": 10})
    assert not row_exists()


def test_it_stays_while_the_disconnect_waits_for_its_turn(layer: ChannelLayerWrapper) -> None:
    ordered = enforce_ordering(plain)
    ordered(socket_message("websocket.connect", order=0))
    work(layer, ordered, "websocket.disconnect", order=2)
    assert row_exists()
    assert gap_session(REPLY_CHANNEL).load()["turn"] == 1
    ordered(socket_message(order=1))
    (content,) = drain("websocket.disconnect")
    work(layer, ordered, "websocket.disconnect", **content)
    assert not row_exists()
    assert gap_session(REPLY_CHANNEL).load() == {}


def test_the_session_of_another_socket_stays(layer: ChannelLayerWrapper) -> None:
    decorated(Message({"reply_channel": "another"}, None, None))
    work(layer, decorated, "websocket.disconnect")
    assert row_exists("another")


def test_without_a_reply_channel_there_is_nothing_to_remove(
    layer: ChannelLayerWrapper, caplog: pytest.LogCaptureFixture
) -> None:
    work(layer, plain, "websocket.disconnect", reply_channel=None)
    assert caplog.text == ""


def test_a_failure_to_remove_is_logged(
    layer: ChannelLayerWrapper, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    work(layer, plain, "websocket.disconnect")
    assert "could not be removed" in caplog.text


def test_a_project_without_our_decorators_needs_no_sessions(
    layer: ChannelLayerWrapper,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(closing, "applied", set())
    settings.SESSION_ENGINE = "no.such.engine"
    work(layer, plain, "websocket.disconnect")
    assert caplog.text == ""


def test_the_test_client_leaves_it(layer: ChannelLayerWrapper) -> None:
    with apply_routes([route("websocket.disconnect", decorated)]):
        client = WSClient()
        client.send_and_consume("websocket.disconnect")
        assert row_exists(client.reply_channel)


def test_a_message_that_was_consumed_while_it_was_parked_leaves_no_row(
    layer: ChannelLayerWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its socket may have ended before the worker that parked it goes on."""
    consumer = enforce_ordering(plain)
    consumer(socket_message(order=0))

    def end_meanwhile(message: Message) -> None:
        monkeypatch.undo()
        for order, channel in ((1, "websocket.receive"), (2, "websocket.disconnect")):
            work(layer, consumer, channel, order=order)

    monkeypatch.setattr(ordering, "park", end_meanwhile)
    consumer(socket_message(order=1 + 1))
    assert not row_exists()
    assert not gap_session(REPLY_CHANNEL).load()
