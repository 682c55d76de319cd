from __future__ import annotations

import json
import uuid
from decimal import Decimal
from typing import Any

import pytest
from django.core import serializers
from django.db import transaction
from django.db.models import F, Model

from channels.binding.base import CREATE, DELETE, UPDATE, Binding
from channels.binding.websockets import WebsocketBinding, WebsocketBindingWithMembers
from channels.lifecycle import run_consumer
from channels.message import Message

from .bindings import ToAll, actions, bind, listener, told
from .models import (
    Animal,
    BytesKeyed,
    Dog,
    PairKeyed,
    Post,
    PostProxy,
    Room,
    Tag,
    TextKeyed,
    UuidKeyed,
)

pytestmark = pytest.mark.django_db


def test_create_update_and_delete_are_told(layer: Any) -> None:
    bind(Room, fields=["name"])
    socket = listener(layer)

    room = Room.objects.create(name="lobby")
    pk = room.pk
    room.name = "hall"
    room.save()
    room.delete()

    assert socket.frames() == [
        {
            "stream": "things",
            "payload": {
                "action": action,
                "pk": pk,
                "data": {"name": name},
                "model": "bound.room",
            },
        }
        for action, name in [("create", "lobby"), ("update", "hall"), ("delete", "hall")]
    ]


class ByState(ToAll):
    """Tells the groups that the test names, whatever the instance is."""

    model: Any = None
    groups: tuple[str, ...] = ()

    @classmethod
    def group_names(cls, instance: Any) -> tuple[str, ...]:
        return cls.groups


def test_groups_before_and_after_decide_who_sees_what(layer: Any) -> None:
    binding = bind(Room, base=ByState, fields=["name"], groups=("leaving", "staying"))
    room = Room.objects.create(name="lobby")
    sockets = [listener(layer, name, name=name) for name in ("leaving", "staying", "entering")]

    class Moving(ByState):
        model = None

    def move(*args: Any, **kwargs: Any) -> None:
        binding.groups = ("staying", "entering")

    from django.db.models.signals import pre_save

    pre_save.connect(move, sender=Room)
    room.save()

    received = [layer.receive(["websocket.send.test!"]) for _ in range(3)]
    seen = {
        channel: json.loads(content["text"])["payload"]["action"] for channel, content in received
    }
    assert [seen[socket.channel] for socket in sockets] == ["delete", "update", "create"]
    assert [name for name, _ in received[:2]] == [sockets[0].channel, sockets[1].channel]


def test_the_groups_before_a_change_are_on_the_instance(layer: Any) -> None:
    binding = bind(Room, base=ByState, fields=["name"], groups=("a", "b"))
    room = Room.objects.create(name="lobby")
    assert room._binding_group_names[binding] == set()  # type: ignore[attr-defined]

    room.save()
    assert room._binding_group_names[binding] == {"a", "b"}  # type: ignore[attr-defined]

    binding.groups = ("c",)
    room.delete()
    assert room._binding_group_names[binding] == {"c"}  # type: ignore[attr-defined]


def test_bindings_of_one_model_keep_their_groups_apart(layer: Any) -> None:
    one = bind(Room, base=ByState, fields=["name"], groups=("a",), stream="one")
    two = bind(Room, base=ByState, fields=[], groups=("b",), stream="two")
    room = Room.objects.create(name="lobby")
    socket = listener(layer, "a", "b")
    room.save()

    assert room._binding_group_names == {one: {"a"}, two: {"b"}}  # type: ignore[attr-defined]
    assert {f["stream"]: f["payload"]["data"] for f in socket.frames()} == {
        "one": {"name": "lobby"},
        "two": {},
    }


def test_group_names_that_are_one_string_are_refused(layer: Any) -> None:
    bind(Room, base=ByState, fields=["name"], groups="all")

    with pytest.raises(TypeError, match=r"must return a list.*\['all'\]"):
        Room.objects.create(name="lobby")


@pytest.mark.parametrize(
    ("selection", "sent"),
    [
        ({"fields": ["title"]}, {"title"}),
        ({"fields": ("title", "room")}, {"title", "room"}),
        ({"fields": []}, set()),
        ({"fields": ["id", "title", "posts", "pk", "missing", "room_id"]}, {"id", "title"}),
        ({"fields": ["title", "secret"], "exclude": ["secret"]}, {"title"}),
        ({"fields": ["__all__"], "exclude": ["secret"]}, {"title", "score", "room", "..."}),
        ({"fields": ("__all__",)}, {"title", "score", "room", "secret", "..."}),
        ({"fields": "__all__"}, {"title", "score", "room", "secret", "..."}),
        ({"exclude": []}, {"title", "score", "room", "secret", "..."}),
        ({"exclude": ["secret"]}, {"title", "score", "room", "..."}),
        ({"exclude": ("secret", "room_id")}, {"title", "score", "..."}),
    ],
)
def test_exactly_the_selected_fields_are_sent(
    layer: Any, selection: dict[str, Any], sent: set[str]
) -> None:
    if "..." in sent:
        sent = sent - {"..."} | {"price", "extra", "attachment", "changed", "tags"}
        sent |= {"readers", "open_rooms"}
    bind(Post, **selection)
    socket = listener(layer)

    Post.objects.create(title="first", room=Room.objects.create(name="lobby"))

    assert [set(payload["data"]) for payload in told(socket)] == [sent]


def test_values_have_the_form_of_djangos_serializers(layer: Any) -> None:
    room = Room.objects.create(name="lobby")
    post = Post.objects.create(
        title="x", price=Decimal("1.50"), extra={"a": [1]}, attachment="file.txt", room=room
    )
    tags = [Tag.objects.create(name=name) for name in "ab"]
    post.tags.set(tags)
    post.readers.set([room])
    bind(Post, fields=["__all__"])
    socket = listener(layer)

    post.save()

    expected = json.loads(serializers.serialize("json", [post]))[0]["fields"]
    data = told(socket)[0]["data"]
    assert data.pop("readers") == [room.pk]
    assert data == expected
    assert data["tags"] == [tag.pk for tag in tags]
    assert data["room"] == room.pk


def test_fields_of_parent_models_are_selected_like_own_ones(layer: Any) -> None:
    bind(Dog, fields=["name", "breed"])
    bind(Dog, exclude=[], stream="all")
    socket = listener(layer)

    dog = Dog.objects.create(name="Rex", breed="boxer")

    payloads = told(socket)
    assert [payload["data"] for payload in payloads] == [{"name": "Rex", "breed": "boxer"}] * 2
    assert {payload["pk"] for payload in payloads} == {dog.pk}
    assert {payload["model"] for payload in payloads} == {"bound.dog"}


@pytest.mark.parametrize(
    ("make", "pk"),
    [
        (lambda: UuidKeyed(id=uuid.UUID(int=7), name="x"), str(uuid.UUID(int=7))),
        (lambda: TextKeyed(code="a/b", name="x"), "a/b"),
        (lambda: BytesKeyed(key=b"\x00\xff"), "AP8="),
        (lambda: PairKeyed(room_number=1, seat="a"), [1, "a"]),
    ],
)
def test_primary_keys_of_any_type_are_told(layer: Any, make: Any, pk: Any) -> None:
    instance = make()
    bind(type(instance), fields=[])
    socket = listener(layer)

    instance.save()
    instance.delete()

    assert [(p["action"], p["pk"]) for p in told(socket)] == [("create", pk), ("delete", pk)]


def test_deferred_fields_are_told_with_their_values(layer: Any) -> None:
    pk = Post.objects.create(title="first", secret="s").pk
    bind(Post, fields=["title", "secret"])
    socket = listener(layer)

    Post.objects.only("id").get(pk=pk).save()
    Post.objects.defer("title").get(pk=pk).delete()

    assert [(p["action"], p["data"]) for p in told(socket)] == [
        ("update", {"title": "first", "secret": "s"}),
        ("delete", {"title": "first", "secret": "s"}),
    ]


def test_what_the_database_computes_is_told_with_its_result(layer: Any) -> None:
    post = Post.objects.create(title="first", score=1)
    bind(Post, fields=["score"])
    socket = listener(layer)

    post.score = F("score") + 1  # type: ignore[assignment]
    post.save()

    assert [payload["data"] for payload in told(socket)] == [{"score": 2}]


def test_deletes_of_querysets_and_cascades_are_told(layer: Any) -> None:
    room = Room.objects.create(name="lobby")
    for title in "ab":
        Post.objects.create(title=title, room=room)
    bind(Post, fields=["title"])
    socket = listener(layer)

    Post.objects.filter(title="a").delete()
    room.delete()

    assert [(p["action"], p["data"]["title"]) for p in told(socket)] == [
        ("delete", "a"),
        ("delete", "b"),
    ]


def test_a_proxy_is_told_only_by_bindings_that_name_it(layer: Any) -> None:
    bind(Post, fields=["title"], stream="post")
    bind(PostProxy, fields=["title"], stream="proxy")
    socket = listener(layer)

    PostProxy.objects.create(title="x")

    assert [(f["stream"], f["payload"]["model"]) for f in socket.frames()] == [
        ("proxy", "bound.postproxy")
    ]


def test_a_child_is_told_only_by_bindings_that_name_it(layer: Any) -> None:
    bind(Animal, fields=["name"], stream="animal")
    bind(Dog, fields=["name"], stream="dog")
    socket = listener(layer)

    Dog.objects.create(name="Rex")

    assert [frame["stream"] for frame in socket.frames()] == ["dog"]


def test_fixtures_are_told(layer: Any) -> None:
    signals = []

    class Watching(ToAll):
        model = Room
        fields = ("name",)

        def serialize(self, instance: Any, action: str) -> Any:
            signals.append(self.signal_kwargs)
            return super().serialize(instance, action)

    socket = listener(layer)
    fixture = json.dumps([{"model": "bound.room", "pk": 5, "fields": {"name": "lobby"}}])
    for loaded in serializers.deserialize("json", fixture):
        loaded.save()

    assert [(p["action"], p["pk"]) for p in told(socket)] == [("create", 5)]
    assert signals[0]["raw"] is True
    assert "instance" not in signals[0]
    assert "created" not in signals[0]
    assert Watching.model_label == "bound.room"


@pytest.mark.django_db(transaction=True)
def test_messages_leave_at_the_time_of_the_signal_also_in_a_transaction(layer: Any) -> None:
    bind(Room, fields=["name"])
    socket = listener(layer)

    with transaction.atomic():
        Room.objects.create(name="lobby")
        assert actions(socket) == ["create"]
        transaction.set_rollback(True)

    assert actions(socket) == []


def test_messages_of_a_consumer_are_held_until_it_ends(layer: Any) -> None:
    bind(Room, fields=["name"])
    socket = listener(layer)
    within = []

    def consumer(message: Message) -> None:
        Room.objects.create(name="lobby")
        within.extend(told(socket))

    run_consumer(consumer, Message({}, "test", layer), {}, sender=Message)

    assert within == []
    assert actions(socket) == ["create"]


def test_overridden_receivers_are_the_ones_called(layer: Any) -> None:
    calls: list[Any] = []

    class Overriding(ToAll):
        model = Room
        fields = ("name",)

        @classmethod
        def pre_change_receiver(cls, instance: Any, action: str) -> None:
            calls.append(("pre", action))
            super().pre_change_receiver(instance, action)

        @classmethod
        def post_change_receiver(cls, instance: Any, action: str, **kwargs: Any) -> None:
            calls.append(("post", action, "signal" in kwargs))
            super().post_change_receiver(instance, action, **kwargs)

        def send_messages(
            self, instance: Any, group_names: set[str], action: str, **kwargs: Any
        ) -> None:
            if group_names:
                calls.append(("send", group_names, action, "signal" in kwargs))
            super().send_messages(instance, group_names, action, **kwargs)

    socket = listener(layer)
    room = Room.objects.create(name="lobby")
    room.save()
    room.delete()

    assert calls == [
        ("pre", "create"),
        ("post", "create", True),
        ("send", {"all"}, "create", True),
        ("pre", "update"),
        ("post", "update", True),
        ("send", {"all"}, "update", True),
        ("pre", "delete"),
        ("post", "delete", True),
        ("send", {"all"}, "delete", True),
    ]
    assert actions(socket) == ["create", "update", "delete"]


def test_a_pre_change_receiver_that_keeps_no_groups_makes_the_change_a_create(layer: Any) -> None:
    class Forgetting(ToAll):
        model = Room
        fields = ("name",)

        @classmethod
        def pre_change_receiver(cls, instance: Any, action: str) -> None:
            pass

    room = Room.objects.create(name="lobby")
    socket = listener(layer)
    room.save()

    assert actions(socket) == ["create"]
    assert Forgetting.stream == "things"


def test_an_empty_payload_is_not_sent(layer: Any) -> None:
    class Silent(ToAll):
        model = Room
        fields = ("name",)

        def serialize(self, instance: Any, action: str) -> Any:
            return {} if action == UPDATE else super().serialize(instance, action)

    socket = listener(layer)
    room = Room.objects.create(name="lobby")
    room.save()
    room.delete()

    assert actions(socket) == [CREATE, DELETE]
    assert Silent.model is Room


def test_nothing_is_serialized_for_nobody(layer: Any) -> None:
    class Unserializable(ByState):
        model = Room
        fields = ("name",)

        def serialize(self, instance: Any, action: str) -> Any:
            raise AssertionError

    Room.objects.create(name="lobby")

    assert Unserializable.groups == ()


def test_a_binding_without_stream_says_so_when_it_has_something_to_send(layer: Any) -> None:
    bind(Room, fields=["name"], stream=None)

    with pytest.raises(ValueError, match="no stream"):
        Room.objects.create(name="lobby")


def test_the_encoder_can_be_replaced_by_an_encoder_or_a_class(layer: Any) -> None:
    class Shouting(json.JSONEncoder):
        def encode(self, o: Any) -> str:
            return super().encode(o).upper()

    bind(Room, fields=["name"], encoder=Shouting)
    bind(Room, fields=["name"], encoder=Shouting())
    socket = listener(layer)
    Room.objects.create(name="lobby")

    assert [frame["STREAM"] for frame in socket.frames()] == ["THINGS", "THINGS"]


def test_members_are_sent_beside_the_fields(layer: Any) -> None:
    class WithMembers(WebsocketBindingWithMembers):
        model = Post
        stream = "posts"
        fields = ("title",)
        send_members = ("shout", "room.name", "price")

        @classmethod
        def group_names(cls, instance: Any) -> list[str]:
            return ["all"]

    socket = listener(layer)
    room = Room.objects.create(name="lobby")
    Post.objects.create(title="first", room=room, price=Decimal("1.5"))

    assert [payload["data"] for payload in told(socket)] == [
        {"title": "first", "shout": "FIRST", "room__name": "lobby", "price": "1.5"}
    ]
    assert issubclass(WithMembers, WebsocketBinding)


def test_no_members_are_sent_by_default(layer: Any) -> None:
    class WithoutMembers(WebsocketBindingWithMembers):
        model = Room
        stream = "rooms"
        fields = ("name",)

        @classmethod
        def group_names(cls, instance: Any) -> list[str]:
            return ["all"]

    socket = listener(layer)
    Room.objects.create(name="lobby")

    assert [payload["data"] for payload in told(socket)] == [{"name": "lobby"}]
    assert WithoutMembers.send_members == ()


def test_the_base_says_what_has_to_be_written(layer: Any) -> None:
    class Bare(Binding):
        model = Room
        fields = ("name",)
        channel_session_user = False

    binding = Bare()
    room = Room(name="lobby")
    calls: list[tuple[str, Any]] = [
        ("group_names", lambda: Bare.group_names(room)),
        ("serialize", lambda: binding.serialize(room, CREATE)),
        ("encode", lambda: Bare.encode("things", {})),
        ("deserialize", lambda: Bare.consumer(Message({}, "x", layer))),
        ("has_permission", lambda: binding.has_permission(None, CREATE, None)),
        ("create", lambda: binding.create({})),
        ("update", lambda: binding.update(1, {})),
        ("delete", lambda: binding.delete(1)),
    ]
    for name, call in calls:
        with pytest.raises(NotImplementedError, match=f"Bare must have an? {name}"):
            call()


def test_changes_of_unbound_models_carry_nothing(layer: Any) -> None:
    room: Model = Room.objects.create(name="lobby")

    assert not hasattr(room, "_binding_group_names")
