# ruff: noqa: RUF012 - consumers are written as projects write them
from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User

from channels import route, route_class
from channels.binding.websockets import WebsocketBinding
from channels.generic.websockets import (
    JsonWebsocketConsumer,
    WebsocketConsumer,
    WebsocketDemultiplexer,
)
from channels.message import Message
from channels.test import ChannelTestCase, WSClient, apply_routes

from .models import Post, Room


class RoomBinding(WebsocketBinding):
    """Everybody sees the rooms; who is logged in may change them."""

    model: Any = None
    stream = "rooms"
    fields = ["name"]

    @classmethod
    def group_names(cls, instance: Any) -> list[str]:
        return ["rooms"]

    def has_permission(self, user: Any, action: str, pk: Any) -> bool:
        return bool(user.is_authenticated)


class Chat(JsonWebsocketConsumer):
    def connect(self, message: Message, multiplexer: Any = None, **kwargs: Any) -> None:
        multiplexer.send({"hello": message.user.username})  # type: ignore[attr-defined]

    def receive(self, content: Any, multiplexer: Any = None, **kwargs: Any) -> None:
        multiplexer.send({"echo": content, "room": kwargs["room"]})


class ProjectTests(ChannelTestCase):
    """A project's own tests, with the client that the library gives to projects."""

    def site(self, **attributes: Any) -> Any:
        bound = type("BoundRooms", (RoomBinding,), {"model": Room, "__module__": __name__})

        class Demultiplexer(WebsocketDemultiplexer):
            http_user = True
            groups = ["rooms"]
            consumers = {"rooms": bound.consumer, "chat": Chat}

        return apply_routes([Demultiplexer.as_route(attrs=attributes, path=r"^/(?P<room>\w+)/$")])

    def test_a_demultiplexer_with_a_user_a_binding_and_a_consumer(self) -> None:
        client = WSClient()
        client.force_login(User.objects.create_user("ann"))
        with self.site():
            client.send_and_consume("websocket.connect", path="/lobby/")
            assert client.receive() == {"stream": "chat", "payload": {"hello": "ann"}}

            frame = {"stream": "chat", "payload": {"a": 1}}
            client.send_and_consume("websocket.receive", text=frame, path="/lobby/")
            assert client.receive() == {
                "stream": "chat",
                "payload": {"echo": {"a": 1}, "room": "lobby"},
            }

            payload = {"action": "create", "data": {"name": "hall", "is_open": False}}
            client.send_and_consume(
                "websocket.receive", text={"stream": "rooms", "payload": payload}, path="/lobby/"
            )
            room = Room.objects.get()
            assert (room.name, room.is_open) == ("hall", True)
            assert client.receive() == {
                "stream": "rooms",
                "payload": {
                    "action": "create",
                    "pk": room.pk,
                    "data": {"name": "hall"},
                    "model": "bound.room",
                },
            }

            client.send_and_consume("websocket.disconnect", path="/lobby/")
            room.delete()
            assert client.receive() is None

    def test_who_is_not_logged_in_sees_but_does_not_change(self) -> None:
        client = WSClient()
        with self.site(strict_ordering=True):
            client.send_and_consume("websocket.connect", {"order": 0}, path="/lobby/")
            client.receive()
            frame = {"stream": "rooms", "payload": {"action": "create", "data": {"name": "x"}}}
            client.send_and_consume("websocket.receive", {"order": 1}, text=frame, path="/lobby/")
            assert not Room.objects.exists()
            Room.objects.create(name="hall")
            assert client.receive()["payload"]["action"] == "create"

    def test_ordering_in_both_the_demultiplexer_and_its_consumer_counts_once(self) -> None:
        class Ordered(Chat):
            strict_ordering = True

        class Demultiplexer(WebsocketDemultiplexer):
            strict_ordering = True
            http_user = True
            consumers = {"chat": Ordered}

        client = WSClient(ordered=True)
        with apply_routes([Demultiplexer.as_route(path="^/(?P<room>)")]):
            client.send_and_consume("websocket.connect")
            client.receive()
            for number in range(3):
                client.send_and_consume(
                    "websocket.receive", text={"stream": "chat", "payload": {"n": number}}
                )
                assert client.receive()["payload"]["echo"] == {"n": number}

    def test_consuming_gives_the_instance_in_either_kind_of_route(self) -> None:
        class Consumer(WebsocketConsumer):
            def connect(self, message: Message, **kwargs: Any) -> None:
                super().connect(message, **kwargs)
                self.seen = kwargs

        channels = ["websocket.connect", "websocket.receive"]
        for a_route in (
            route(channels, Consumer, path="^/(?P<room>.*)"),
            route_class(Consumer, path="^/(?P<room>.*)"),
            Consumer.as_route(path="^/(?P<room>.*)"),
        ):
            with apply_routes([a_route]):
                instance = WSClient().send_and_consume("websocket.connect", path="/lobby")
                assert type(instance) is Consumer
                assert instance.seen == {"room": "lobby"}

    def test_a_binding_directly_in_a_route(self) -> None:
        posts = type(
            "Posts",
            (RoomBinding,),
            {"model": Post, "fields": ["title"], "has_permission": lambda *args: True},
        )
        with apply_routes([route("websocket.receive", posts.consumer)]):
            WSClient().send_and_consume(
                "websocket.receive", text={"action": "create", "data": {"title": "first"}}
            )
        assert Post.objects.get().title == "first"
