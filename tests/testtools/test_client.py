"""``Client``: sends messages and runs consumers in the test's own thread."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from channels import Channel, Group, channel_layers, route
from channels.exceptions import (
    ChannelSocketException,
    ConsumeLater,
    DenyConnection,
    WebsocketCloseException,
)
from channels.handler import ViewConsumer
from channels.lifecycle import run_consumer
from channels.message import Message
from channels.signals import consumer_finished, consumer_started
from channels.test import Client

from .conftest import MakeLayer


def echo(message: Message, **kwargs: Any) -> object:
    assert message.reply_channel is not None
    message.reply_channel.send({"echo": message["value"], **kwargs})
    return "echoed"


class ConsumerClass:
    """Runs when it is made, as consumer classes do."""

    def __init__(self, message: Message, **kwargs: Any) -> None:
        self.message = message


def fail_with(error: Exception) -> Any:
    def consumer(message: Message) -> None:
        Channel("test.log").send({"sent": "before the error"})
        raise error

    return consumer


def test_a_consumer_runs_and_its_reply_is_received(make_layer: MakeLayer) -> None:
    make_layer([route("test.echo", echo)])
    client = Client()
    client.send("test.echo", {"value": 1})
    assert client.consume("test.echo") == "echoed"
    assert client.receive() == {"echo": 1}
    assert client.receive() is None


def test_content_is_positional_and_optional(make_layer: MakeLayer) -> None:
    make_layer([route("test.keys", lambda message: sorted(message.keys()))])
    client = Client()
    assert client.send_and_consume("test.keys") == ["reply_channel"]
    assert client.send_and_consume("test.keys", {"value": 1}) == ["reply_channel", "value"]


def test_the_dict_that_is_sent_stays_as_it_is(make_layer: MakeLayer) -> None:
    make_layer()
    content = {"value": 1}
    Client().send("test.any", content)
    assert content == {"value": 1}


def test_a_reply_channel_in_the_content_stays(make_layer: MakeLayer) -> None:
    make_layer([route("test.echo", echo)])
    client = Client()
    client.send_and_consume("test.echo", {"value": 1, "reply_channel": "test.elsewhere"})
    assert client.receive() is None
    message = client.get_next_message("test.elsewhere")
    assert message is not None
    assert message.content == {"echo": 1}


def test_routing_captures_reach_the_consumer(make_layer: MakeLayer) -> None:
    make_layer([route("test.echo", echo, room=r"^(?P<name>\w+)$")])
    client = Client()
    client.send_and_consume("test.echo", {"value": 1, "room": "kitchen"})
    assert client.receive() == {"echo": 1, "name": "kitchen"}


def test_a_consumer_class_gives_its_instance(make_layer: MakeLayer) -> None:
    make_layer([route("test.class", ConsumerClass)])
    instance = Client().send_and_consume("test.class", {"value": 1})
    assert isinstance(instance, ConsumerClass)
    assert instance.message["value"] == 1


def test_consumers_run_in_the_thread_of_the_test(make_layer: MakeLayer) -> None:
    make_layer([route("test.thread", lambda message: threading.get_ident())])
    assert Client().send_and_consume("test.thread") == threading.get_ident()


def test_the_message_is_on_its_channel_and_of_its_layer(make_layer: MakeLayer) -> None:
    wrapper = make_layer([route("test.message", lambda message: message)])
    message = Client().send_and_consume("test.message")
    assert str(message.channel) == "test.message"
    assert message.channel_layer is wrapper


def test_each_client_has_its_own_replies(make_layer: MakeLayer) -> None:
    make_layer([route("test.echo", echo)])
    one, two = Client(), Client()
    one.send("test.echo", {"value": "one"})
    two.send("test.echo", {"value": "two"})
    one.consume("test.echo")
    one.consume("test.echo")
    assert two.receive() == {"echo": "two"}
    assert one.receive() == {"echo": "one"}


def test_sends_are_held_until_the_consumer_ends(make_layer: MakeLayer) -> None:
    def consumer(message: Message) -> Any:
        Channel("test.log").send({"sent": "first"})
        return client.get_next_message("test.log")

    make_layer([route("test.held", consumer)])
    client = Client()
    assert client.send_and_consume("test.held") is None
    assert client.get_next_message("test.log") is not None


def test_a_client_in_a_consumer_keeps_what_that_one_holds(make_layer: MakeLayer) -> None:
    def outer(message: Message) -> None:
        Channel("test.log").send({"from": "outer"})
        Client().send_and_consume("test.inner")

    def inner(message: Message) -> None:
        Channel("test.log").send({"from": "inner"})

    make_layer([route("test.outer", outer), route("test.inner", inner)])
    client = Client()
    client.send_and_consume("test.outer")
    sent = [client.get_next_message("test.log"), client.get_next_message("test.log")]
    assert [message and message["from"] for message in sent] == ["inner", "outer"]


def test_consumers_run_between_the_signals(make_layer: MakeLayer) -> None:
    seen: list[object] = []

    def on_start(sender: type, environ: object, **kwargs: object) -> None:
        seen.append(("started", sender))

    def on_finish(sender: type, **kwargs: object) -> None:
        seen.append(("finished", sender))

    make_layer([route("test.signals", lambda message: seen.append("consumer"))])
    consumer_started.connect(on_start)
    consumer_finished.connect(on_finish)
    try:
        Client().send_and_consume("test.signals")
    finally:
        consumer_started.disconnect(on_start)
        consumer_finished.disconnect(on_finish)
    assert seen == [("started", Client), "consumer", ("finished", Client)]


@pytest.mark.parametrize("error", [ConsumeLater(), DenyConnection(), LookupError("broken")])
def test_exceptions_get_through_and_held_sends_go_out(
    make_layer: MakeLayer, error: Exception
) -> None:
    make_layer([route("websocket.connect", fail_with(error))])
    client = Client()
    with pytest.raises(type(error)):
        client.send_and_consume("websocket.connect")
    message = client.get_next_message("test.log")
    assert message is not None
    assert message.content == {"sent": "before the error"}
    # Neither put back nor refused: what to do with the exception is for the test to say.
    assert client.get_next_message("websocket.connect") is None
    assert client.receive() is None


def test_a_socket_exception_acts_on_its_socket(make_layer: MakeLayer) -> None:
    make_layer([route("test.close", fail_with(WebsocketCloseException(4001)))])
    client = Client()
    assert client.send_and_consume("test.close") is None
    assert client.receive() == {"close": 4001}


def test_a_socket_exception_of_the_project_runs(make_layer: MakeLayer) -> None:
    class Kick(ChannelSocketException):
        def run(self, message: Message) -> None:
            assert message.reply_channel is not None
            message.reply_channel.send({"text": "out", "close": True})

    make_layer([route("test.kick", fail_with(Kick()))])
    client = Client()
    client.send_and_consume("test.kick")
    assert client.receive() == {"text": "out", "close": True}


def test_without_a_message_it_fails(make_layer: MakeLayer) -> None:
    make_layer([route("test.echo", echo)])
    with pytest.raises(AssertionError, match=r"no message on channel 'test\.echo'"):
        Client().consume("test.echo")
    assert Client().consume("test.echo", fail_on_none=False) is None


def test_without_a_route_it_fails(make_layer: MakeLayer) -> None:
    make_layer([route("test.echo", echo, value="never")])
    client = Client()
    with pytest.raises(AssertionError, match=r"No route takes .*test\.echo.*'value': 'once'"):
        client.send_and_consume("test.echo", {"value": "once"})
    assert client.send_and_consume("test.echo", {"value": "once"}, fail_on_none=False) is None


def test_a_client_can_join_groups(make_layer: MakeLayer) -> None:
    make_layer()
    client = Client()
    client.join_group("chat")
    Group("chat").send({"text": {"deeply": ["nested"]}})
    assert client.receive() == {"text": {"deeply": ["nested"]}}


def test_the_consumer_of_a_channel(make_layer: MakeLayer) -> None:
    make_layer([route("test.echo", echo)])
    assert Client().get_consumer_by_channel("test.echo") is echo
    assert Client().get_consumer_by_channel("test.other") is None


def test_the_layer_of_another_alias_is_used(make_layer: MakeLayer) -> None:
    other = make_layer([route("test.echo", echo)])
    channel_layers.set("default", None)
    channel_layers.set("other", other)
    try:
        client = Client("other")
        client.send_and_consume("test.echo", {"value": 1})
        assert client.channel_layer is other
        assert client.receive() == {"echo": 1}
    finally:
        channel_layers.set("other", None)


def test_a_message_to_a_process_specific_channel_can_be_taken(make_layer: MakeLayer) -> None:
    make_layer()
    for number in range(3):
        Channel("websocket.send.worker!one").send({"one": number})
        Channel("websocket.send.worker!two").send({"two": number})
    client = Client()
    taken = [
        client.get_next_message(f"websocket.send.worker!{socket}")
        for socket in ["two", "two", "one", "two", "one", "one", "two", "one"]
    ]
    assert [message and message.content for message in taken] == [
        {"two": 0},
        {"two": 1},
        {"one": 0},
        {"two": 2},
        {"one": 1},
        {"one": 2},
        None,
        None,
    ]
    assert taken[0] is not None
    assert str(taken[0].channel) == "websocket.send.worker!two"


def test_all_channels_of_a_process_can_be_read_at_once(make_layer: MakeLayer) -> None:
    make_layer()
    Channel("websocket.send.worker!one").send({"text": "x"})
    message = Client().get_next_message("websocket.send.worker!")
    assert message is not None
    assert str(message.channel) == "websocket.send.worker!one"


@pytest.mark.django_db(transaction=True)
def test_queries_of_consumers_are_counted(make_layer: MakeLayer) -> None:
    make_layer([route("test.query", lambda message: User.objects.count())])
    User.objects.create(username="ada")
    client = Client()
    with CaptureQueriesContext(connection) as queries:
        User.objects.count()
        assert client.send_and_consume("test.query") == 1
    assert len(queries) == 2


@pytest.mark.django_db(transaction=True)
def test_the_connections_of_the_test_stay_open(
    make_layer: MakeLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_layer(
        [
            route("test.outer", lambda message: Client().send_and_consume("test.inner")),
            route("test.inner", lambda message: None),
        ]
    )
    closed: list[object] = []
    real = connections["default"]
    monkeypatch.setattr(real, "close_if_unusable_or_obsolete", lambda: closed.append(1))
    Client().send_and_consume("test.outer")
    assert closed == []
    run_consumer(lambda message: None, Message({}, "test.any", None), {}, sender=Client)
    assert closed == [1, 1]


@pytest.mark.django_db(transaction=True)
def test_views_of_consumers_leave_the_connections_of_the_test_alone(
    make_layer: MakeLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_layer([route("http.request", ViewConsumer())])
    closed: list[object] = []
    real = connections["default"]
    monkeypatch.setattr(real, "close_if_unusable_or_obsolete", lambda: closed.append(1))
    client = Client()
    with CaptureQueriesContext(connection) as queries:
        User.objects.count()
        client.send_and_consume("http.request", {"path": "/", "method": "GET"})
        assert client.receive()["status"] == 404
    assert closed == []
    assert len(queries) == 1


def test_consumers_without_queries_need_no_database(make_layer: MakeLayer) -> None:
    make_layer([route("test.any", lambda message: "no query")])
    assert Client().send_and_consume("test.any") == "no query"


def test_a_client_shows_its_class_and_channel(make_layer: MakeLayer) -> None:
    make_layer()
    client = Client()
    assert repr(client) == f"<Client {client.reply_channel}>"
