from __future__ import annotations

import json
import uuid
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import ValidationError
from django.db import IntegrityError

from channels import Group
from channels.binding.base import CREATE, DELETE, UPDATE
from channels.message import Message
from tests.generic.sockets import Socket

from .bindings import ToAll, actions, bind, client, told
from .models import (
    Animal,
    CodedDog,
    Dog,
    Filtered,
    PairKeyed,
    Post,
    Room,
    Tag,
    TextKeyed,
    UuidKeyed,
    WithoutObjects,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def post() -> Post:
    return Post.objects.create(title="first", secret="kept")


def test_create_update_and_delete_on_request(layer: Any) -> None:
    socket = client(layer, bind(Room, fields=["name"]))

    socket.ask("things", action="create", data={"name": "lobby"})
    room = Room.objects.get()
    assert room.name == "lobby"

    socket.ask("things", action="update", pk=room.pk, data={"name": "hall"})
    room.refresh_from_db()
    assert room.name == "hall"

    socket.ask("things", action="delete", pk=room.pk)
    assert not Room.objects.exists()


def test_what_clients_change_is_told_too(layer: Any) -> None:
    socket = client(layer, bind(Room, fields=["name"]))
    Group("all").add(socket.channel)

    socket.ask("things", action="create", data={"name": "lobby"})
    pk = Room.objects.get().pk
    socket.ask("things", action="update", pk=pk, data={"name": "hall"})
    socket.ask("things", action="delete", pk=pk)

    assert actions(socket) == ["create", "update", "delete"]


def test_the_binding_is_asked_with_user_action_and_pk(layer: Any) -> None:
    asked: list[Any] = []

    def has_permission(self: Any, user: Any, action: str, pk: Any) -> bool:
        asked.append((user, action, pk, self.kwargs["room"], self.message["path"]))
        return False

    binding = bind(Room, fields=["name"], has_permission=has_permission)
    socket = client(layer, binding)
    socket.kwargs["room"] = "lobby"
    for action in (CREATE, UPDATE, DELETE):
        socket.ask("things", action=action, pk=5, data={})

    assert asked == [
        (AnonymousUser(), action, pk, "lobby", "/chat/")
        for action, pk in [("create", None), ("update", 5), ("delete", 5)]
    ]


def test_without_permission_nothing_happens_and_nothing_is_said(
    layer: Any, post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    binding = bind(Post, fields=["title"], has_permission=lambda *args: False)
    socket = client(layer, binding)

    socket.ask("things", action="create", data={"title": "second"})
    socket.ask("things", action="update", pk=post.pk, data={"title": "changed"})
    socket.ask("things", action="delete", pk=post.pk)

    assert list(Post.objects.values_list("title", flat=True)) == ["first"]
    assert socket.replies() == []
    assert caplog.records == []


def test_permission_must_be_written(layer: Any, post: Post) -> None:
    class Unguarded(ToAll):
        model = Post
        fields = ("title",)
        has_permission = ToAll.__mro__[1].has_permission

    with pytest.raises(NotImplementedError, match="Unguarded must have a has_permission"):
        client(layer, Unguarded).ask("things", action="delete", pk=post.pk)

    assert Post.objects.exists()


@pytest.mark.parametrize(
    "selection",
    [
        {"fields": ["title"]},
        {"fields": ["title", "secret"], "exclude": ["secret"]},
        {"fields": ("__all__",), "exclude": ["secret", "room_id"]},
        {"exclude": ["secret", "room"]},
    ],
)
def test_only_listed_fields_are_written(layer: Any, post: Post, selection: dict[str, Any]) -> None:
    room = Room.objects.create(name="lobby")
    socket = client(layer, bind(Post, **selection))
    data = {
        "title": "new",
        "secret": "stolen",
        "room": room.pk,
        "room_id": room.pk,
        "id": 77,
        "pk": 77,
        "missing": 1,
        "posts": [],
        "__class__": "x",
        "save": None,
        "_state": None,
    }

    socket.ask("things", action="update", pk=post.pk, data=data)
    socket.ask("things", action="create", data=data)

    assert list(Post.objects.order_by("pk").values_list("title", "secret", "room")) == [
        ("new", "kept", None),
        ("new", "initial", None),
    ]
    assert not Post.objects.filter(pk=77).exists()


def test_all_fields_are_those_a_client_may_edit(layer: Any, post: Post) -> None:
    changed = post.changed
    room = Room.objects.create(name="lobby")
    tag = Tag.objects.create(name="a")
    socket = client(layer, bind(Post, fields=["__all__"]))

    socket.ask(
        "things",
        action="update",
        pk=post.pk,
        data={
            "id": 77,
            "title": "new",
            "secret": "new",
            "score": "5",
            "price": "1.50",
            "extra": {"a": [1]},
            "attachment": "../../etc/passwd",
            "changed": "2000-01-01T00:00:00Z",
            "room": room.pk,
            "tags": [tag.pk],
            "readers": [room.pk],
        },
    )

    post.refresh_from_db()
    assert (post.title, post.secret, post.score, post.price) == ("new", "new", 5, Decimal("1.50"))
    assert post.extra == {"a": [1]}
    assert post.room == room
    assert list(post.tags.all()) == [tag]
    assert list(post.readers.all()) == []
    assert post.attachment.name == ""
    assert post.changed > changed
    assert Post.objects.count() == 1


def test_a_field_that_is_not_editable_stays_even_when_it_is_listed(layer: Any, post: Post) -> None:
    socket = client(layer, bind(Post, fields=["changed", "title"]))

    socket.ask("things", action="update", pk=post.pk, data={"changed": "2000-01-01T00:00:00Z"})

    post.refresh_from_db()
    assert post.changed.year > 2000


def test_an_empty_selection_lets_rows_be_made_and_deleted_but_not_filled(layer: Any) -> None:
    socket = client(layer, bind(Room, fields=[]))

    socket.ask("things", action="create", data={"name": "lobby"})

    assert Room.objects.get().name == ""


@pytest.mark.parametrize("action", ["create", "update"])
@pytest.mark.parametrize(
    "data",
    [
        {"score": "many"},
        {"score": None, "title": "x", "price": "1,5"},
        {"room": "lobby"},
        {"room": 999},
        {"room": [1]},
        {"room": {"id": 1}},
        {"tags": 1},
        {"tags": None},
        {"tags": "1"},
        {"tags": [999]},
        {"tags": ["x"]},
        {"title": "changed", "tags": [999]},
    ],
)
def test_invalid_data_is_refused_whole(
    layer: Any, post: Post, action: str, data: dict[str, Any]
) -> None:
    socket = client(layer, bind(Post, fields=["title", "score", "price", "room", "tags"]))

    with pytest.raises(ValidationError, match=r"score|price|room|tags"):
        socket.ask("things", action=action, pk=post.pk, data=data)

    assert list(Post.objects.values_list("title", "score", "room")) == [("first", 0, None)]


@pytest.mark.parametrize("data", [None, [], "title", 5])
@pytest.mark.parametrize("action", ["create", "update"])
def test_data_that_is_no_object_is_refused(layer: Any, post: Post, action: str, data: Any) -> None:
    with pytest.raises(ValueError, match="must be an object"):
        client(layer, bind(Post, fields=["title"])).ask(
            "things", action=action, pk=post.pk, data=data
        )
    assert Post.objects.count() == 1


def test_relations_respect_the_choices_that_the_model_limits_them_to(
    layer: Any, post: Post
) -> None:
    closed = Room.objects.create(name="closed", is_open=False)
    opened = Room.objects.create(name="open")
    socket = client(layer, bind(Post, fields=["room", "open_rooms"]))

    for data in ({"room": closed.pk}, {"open_rooms": [opened.pk, closed.pk]}):
        with pytest.raises(ValidationError, match="room"):
            socket.ask("things", action="update", pk=post.pk, data=data)
    socket.ask("things", action="update", pk=post.pk, data={"open_rooms": [opened.pk]})

    post.refresh_from_db()
    assert post.room is None
    assert list(post.open_rooms.all()) == [opened]


def test_a_relation_can_be_emptied(layer: Any, post: Post) -> None:
    post.room = Room.objects.create(name="lobby")
    post.save()
    post.tags.add(Tag.objects.create(name="a"))
    socket = client(layer, bind(Post, fields=["room", "tags"]))

    socket.ask("things", action="update", pk=post.pk, data={"room": None, "tags": []})

    post.refresh_from_db()
    assert post.room is None
    assert not post.tags.exists()


def test_many_to_many_relations_are_made_on_create(layer: Any) -> None:
    tag = Tag.objects.create(name="a")
    socket = client(layer, bind(Post, fields=["title", "tags"]))

    socket.ask("things", action="create", data={"title": "x", "tags": [tag.pk, str(tag.pk)]})

    assert list(Post.objects.get().tags.all()) == [tag]


@pytest.mark.parametrize("pk", [None, "x", "", [], [1], {}, {"id": 1}, 1e400, "1; DROP", "1.5"])
@pytest.mark.parametrize("action", ["update", "delete"])
def test_what_is_no_primary_key_is_refused_before_anybody_is_asked(
    layer: Any, post: Post, action: str, pk: Any
) -> None:
    asked: list[Any] = []
    binding = bind(Post, fields=["title"], has_permission=lambda *args: asked.append(args))

    with pytest.raises(ValueError, match=r"no primary key of bound\.post"):
        client(layer, binding).ask("things", action=action, pk=pk, data={"title": "changed"})

    assert asked == []
    assert Post.objects.get().title == "first"


def test_every_spelling_of_a_primary_key_is_asked_for_as_one(layer: Any, post: Post) -> None:
    asked: list[Any] = []
    binding = bind(Post, fields=["title"], has_permission=lambda s, u, a, pk: asked.append(pk))
    socket = client(layer, binding)

    for pk in (post.pk, str(post.pk), f" {post.pk} ", float(post.pk)):
        socket.ask("things", action="update", pk=pk, data={})

    assert [(pk, type(pk)) for pk in asked] == [(post.pk, int)] * 4


def test_uuids_are_asked_for_in_the_form_in_which_they_are_told(layer: Any) -> None:
    keyed = UuidKeyed.objects.create(name="x")
    asked: list[Any] = []

    def has_permission(self: Any, user: Any, action: str, pk: Any) -> bool:
        asked.append(pk)
        return True

    binding = bind(UuidKeyed, fields=["name"], has_permission=has_permission)
    socket = client(layer, binding)
    Group("all").add(socket.channel)

    socket.ask("things", action="update", pk=keyed.pk.hex.upper(), data={"name": "y"})
    pk = told(socket)[0]["pk"]
    socket.ask("things", action="delete", pk=pk)

    assert asked == [str(keyed.pk)] * 2 == [pk] * 2
    assert not UuidKeyed.objects.exists()


def test_keys_of_several_fields(layer: Any) -> None:
    for number in (1, 2):
        PairKeyed.objects.create(room_number=number, seat="a", guest="Ann")
    socket = client(layer, bind(PairKeyed, fields=["room_number", "seat", "guest"]))

    socket.ask(
        "things",
        action="update",
        pk=[1, "a"],
        data={"guest": "Bob", "room_number": 2, "seat": "b"},
    )
    socket.ask("things", action="create", data={"guest": "C", "room_number": 3, "seat": "c"})
    socket.ask("things", action="delete", pk=["2", "a"])

    rows = PairKeyed.objects.order_by("room_number").values_list("room_number", "seat", "guest")
    assert list(rows) == [(1, "a", "Bob"), (3, "c", "C")]
    for pk in (1, [1], [1, "a", 2], [1, None], "[1, 2"):
        with pytest.raises(ValueError, match="no primary key"):
            socket.ask("things", action="delete", pk=pk)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("model", "data"),
    [
        (TextKeyed, {"code": "a", "name": "stolen"}),
        (CodedDog, {"code": "a", "name": "stolen", "breed": "x"}),
    ],
)
def test_creating_never_replaces_what_is_there(
    layer: Any, model: Any, data: dict[str, Any]
) -> None:
    TextKeyed.objects.create(code="a", name="kept")
    socket = client(layer, bind(model, fields=["code", "name", "breed"]))

    with pytest.raises(IntegrityError):
        socket.ask("things", action="create", data=data)

    assert list(TextKeyed.objects.values_list("code", "name")) == [("a", "kept")]


@pytest.mark.django_db(transaction=True)
def test_creating_never_replaces_what_has_the_same_key_of_several_fields(layer: Any) -> None:
    PairKeyed.objects.create(room_number=1, seat="a", guest="kept")
    socket = client(layer, bind(PairKeyed, fields=["room_number", "seat", "guest"]))

    with pytest.raises(IntegrityError):
        socket.ask(
            "things", action="create", data={"room_number": 1, "seat": "a", "guest": "stolen"}
        )

    assert PairKeyed.objects.get().guest == "kept"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("model", [TextKeyed, CodedDog])
def test_creating_never_replaces_what_has_the_key_that_the_project_chooses(
    layer: Any, model: Any
) -> None:
    TextKeyed.objects.create(code="ann", name="kept")

    def clean_instance(self: Any, instance: Any, action: str, fields: list[str]) -> None:
        instance.code = instance.name.lower()

    socket = client(layer, bind(model, fields=["name"], clean_instance=clean_instance))

    with pytest.raises(IntegrityError):
        socket.ask("things", action="create", data={"name": "Ann"})
    socket.ask("things", action="create", data={"name": "Bob"})

    rows = TextKeyed.objects.order_by("code").values_list("code", "name")
    assert list(rows) == [("ann", "kept"), ("bob", "Bob")]


def test_a_new_row_gets_the_key_that_the_client_chose_if_it_is_listed(layer: Any) -> None:
    key = str(uuid.uuid4())
    listed = client(layer, bind(UuidKeyed, fields=["id", "name"]))
    listed.ask("things", action="create", data={"id": key, "name": "x"})
    unlisted = client(layer, bind(TextKeyed, fields=["name"]))
    unlisted.ask("things", action="create", data={"code": "a", "name": "x"})

    assert str(UuidKeyed.objects.get().pk) == key
    assert TextKeyed.objects.get().code == ""


def test_keys_that_the_database_makes_and_links_to_parents_are_never_written(layer: Any) -> None:
    animal = Animal.objects.create(name="kept")
    socket = client(layer, bind(Dog, fields=["id", "animal_ptr", "name", "breed"]))

    socket.ask(
        "things",
        action="create",
        data={"id": animal.pk, "animal_ptr": animal.pk, "name": "Rex", "breed": "boxer"},
    )
    dog = Dog.objects.get()
    socket.ask("things", action="update", pk=dog.pk, data={"id": 99, "animal_ptr": animal.pk})

    assert Dog.objects.get().pk == dog.pk != animal.pk
    assert sorted(Animal.objects.values_list("name", flat=True)) == ["Rex", "kept"]


def test_an_update_never_changes_the_key(layer: Any) -> None:
    TextKeyed.objects.create(code="a", name="x")
    socket = client(layer, bind(TextKeyed, fields=["code", "name"]))

    socket.ask("things", action="update", pk="a", data={"code": "b", "name": "y"})

    assert list(TextKeyed.objects.values_list("code", "name")) == [("a", "y")]


def test_updating_what_is_not_there_is_an_error_and_deleting_it_is_none(layer: Any) -> None:
    socket = client(layer, bind(Post, fields=["title"]))

    with pytest.raises(Post.DoesNotExist):
        socket.ask("things", action="update", pk=5, data={"title": "x"})
    socket.ask("things", action="delete", pk=5)

    assert not Post.objects.exists()


def test_rows_that_objects_does_not_know_are_out_of_reach(layer: Any) -> None:
    row = Filtered.everything.create(name="kept", is_open=False)
    socket = client(layer, bind(Filtered, fields=["name"]))

    with pytest.raises(Filtered.DoesNotExist):
        socket.ask("things", action="update", pk=row.pk, data={"name": "x"})
    socket.ask("things", action="delete", pk=row.pk)

    assert Filtered.everything.get().name == "kept"


def test_a_model_without_objects_is_reached_by_its_default_manager(layer: Any) -> None:
    row = WithoutObjects.rows.create(name="a")

    client(layer, bind(WithoutObjects, fields=["name"])).ask(
        "things", action="update", pk=row.pk, data={"name": "b"}
    )

    assert WithoutObjects.rows.get().name == "b"


@pytest.mark.parametrize("action", ["destroy", "", None, 5, [], ["create"], {}, "CREATE"])
def test_unknown_actions_are_refused_before_anybody_is_asked(
    layer: Any, post: Post, action: Any
) -> None:
    asked: list[Any] = []
    binding = bind(Post, fields=["title"], has_permission=lambda *args: asked.append(args))

    with pytest.raises(ValueError, match="create, update and delete, not"):
        client(layer, binding).ask("things", action=action, pk=post.pk, data={})

    assert asked == []


def test_actions_can_be_added(layer: Any) -> None:
    ran: list[Any] = []

    def run_action(self: Any, action: Any, pk: Any, data: Any) -> None:
        ran.append((action, pk, data, self.action, self.pk, self.data))

    socket = client(layer, bind(Room, fields=["name"], run_action=run_action))
    socket.ask("things", action="subscribe", pk="any", data=[1])

    assert ran == [("subscribe", "any", [1]) * 2]


@pytest.mark.parametrize(
    "text", ["", "x", "[]", "5", '{"pk": 1}', "[" * 100_000, None, '{"action": "create"}x']
)
def test_frames_that_ask_for_nothing_are_value_errors(layer: Any, text: str | None) -> None:
    binding = bind(Room, fields=["name"])

    with pytest.raises(ValueError):  # noqa: PT011 - from the standard library, mostly
        Socket(layer, binding.consumer).receive(text=text)


def test_the_consumer_ignores_all_but_frames(layer: Any) -> None:
    binding = bind(Room, fields=["name"])
    frame = json.dumps({"action": "create", "data": {"name": "lobby"}})
    socket = Socket(layer, binding.consumer)

    socket.connect(text=frame)
    socket.disconnect(text=frame)
    socket.give("other.channel", text=frame)
    binding.consumer(Message({"text": frame}, None, layer))
    assert not Room.objects.exists()

    socket.receive(text=frame)
    assert Room.objects.get().name == "lobby"


def test_each_step_can_be_overridden(layer: Any) -> None:
    class Overriding(ToAll):
        model = Room
        fields = ("name",)
        done: list[Any] = []  # noqa: RUF012

        def deserialize(self, message: Message) -> Any:
            return message["text"].split()

        def create(self, data: Any) -> None:
            self.done.append(("create", data))

        def update(self, pk: Any, data: Any) -> None:
            self.done.append(("update", pk, data))

        def delete(self, pk: Any) -> None:
            self.done.append(("delete", pk))

    socket = Socket(layer, Overriding.consumer)
    for text in ("create - a", "update 1 b", "delete 2 -"):
        socket.receive(text=text)

    assert Overriding.done == [("create", "a"), ("update", 1, "b"), ("delete", 2)]


def test_values_can_be_validated_before_they_are_saved(layer: Any, post: Post) -> None:
    checked: list[Any] = []

    def clean_instance(self: Any, instance: Post, action: str, fields: list[str]) -> None:
        checked.append((instance.title, action, fields))
        instance.full_clean()

    socket = client(layer, bind(Post, fields=["title", "tags"], clean_instance=clean_instance))

    for payload in (
        {"action": "update", "pk": post.pk, "data": {"title": "x" * 21}},
        {"action": "create", "data": {"title": "", "tags": []}},
    ):
        with pytest.raises(ValidationError, match="title"):
            socket.ask("things", **payload)

    assert checked == [("x" * 21, "update", ["title"]), ("", "create", ["title", "tags"])]
    assert list(Post.objects.values_list("title", flat=True)) == ["first"]


def test_lengths_and_choices_are_left_to_the_project(layer: Any) -> None:
    socket = client(layer, bind(Room, fields=["name"]))

    socket.ask("things", action="create", data={"name": "x" * 30})

    assert Room.objects.get().name == "x" * 30


def test_values_and_relations_are_saved_together_or_not_at_all(layer: Any, post: Post) -> None:
    tag = Tag.objects.create(name="a")
    binding = bind(Post, fields=["title", "tags"])

    from django.db.models.signals import m2m_changed

    def refuse(**kwargs: Any) -> None:
        raise RuntimeError("no")

    m2m_changed.connect(refuse, sender=Post.tags.through)
    try:
        with pytest.raises(RuntimeError):
            client(layer, binding).ask(
                "things", action="update", pk=post.pk, data={"title": "new", "tags": [tag.pk]}
            )
    finally:
        m2m_changed.disconnect(refuse, sender=Post.tags.through)

    post.refresh_from_db()
    assert post.title == "first"


@pytest.mark.parametrize(
    ("attributes", "has_session", "has_user"),
    [
        ({"channel_session_user": True}, True, True),
        ({"channel_session_user": False, "channel_session": True}, True, False),
        ({"channel_session_user": False}, False, False),
    ],
)
def test_attributes_give_the_binding_a_session_and_a_user(
    layer: Any, attributes: dict[str, bool], has_session: bool, has_user: bool
) -> None:
    seen: list[Any] = []

    def has_permission(self: Any, user: Any, action: str, pk: Any) -> bool:
        seen.append((hasattr(self.message, "channel_session"), hasattr(self.message, "user")))
        assert user.is_anonymous
        return False

    binding = bind(Room, fields=["name"], has_permission=has_permission, **attributes)
    client(layer, binding).ask("things", action="create", data={})

    assert seen == [(has_session, has_user)]


def test_the_user_is_the_one_that_the_demultiplexer_found(layer: Any) -> None:
    user = User.objects.create(username="ann")
    seen: list[Any] = []
    binding = bind(Room, fields=["name"], has_permission=lambda s, u, a, pk: seen.append(u))
    socket = client(layer, binding)
    message = socket.message(
        "websocket.receive", text=json.dumps({"stream": "things", "payload": {"action": "create"}})
    )
    message.user = user  # type: ignore[attr-defined]

    socket.consumer(message)

    assert seen == [user]


def test_strict_ordering_holds_for_a_binding(layer: Any) -> None:
    binding = bind(Room, fields=["name"], strict_ordering=True)
    socket = Socket(layer, binding.consumer)
    frame = json.dumps({"action": "create", "data": {"name": "lobby"}})

    socket.receive(text=frame, order=1)
    assert not Room.objects.exists()
    socket.connect(order=0)
    name, content = layer.receive(["websocket.receive"])
    binding.consumer(Message(content, name, layer))

    assert Room.objects.get().name == "lobby"
