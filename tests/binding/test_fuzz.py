from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from django.db import DatabaseError, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from channels.lifecycle import run_consumer

from .bindings import bind, client
from .models import Post, Reading, Room, Tag, TextKeyed

pytestmark = pytest.mark.django_db

FIELDS = sorted(
    {field.name for field in Post._meta.get_fields()} | {"pk", "room_id", "__class__", "_state"}
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
# What each field would take, so that only the binding stands between a client and the row.
TAKEN = {
    "id": 7,
    "pk": 7,
    "title": "changed",
    "name": "changed",
    "code": "1",
    "secret": "stolen",
    "score": 5,
    "price": "1.50",
    "extra": {"a": 1},
    "is_open": False,
    "attachment": "../settings.py",
    "changed": "1999-01-01T00:00:00Z",
    "room": 1,
    "room_id": 1,
    "tags": [1],
    "open_rooms": [1],
    "readers": [],
}
taken = st.lists(st.sampled_from(sorted(TAKEN)), max_size=4).map(
    lambda names: {name: TAKEN[name] for name in names}
)
wild = st.dictionaries(st.sampled_from(FIELDS) | st.text(), json_values, max_size=4)
payloads = st.fixed_dictionaries(
    {
        "action": st.one_of(st.sampled_from(["create", "update", "delete"]), json_values),
        "pk": st.one_of(st.just(1), st.sampled_from(["1", " 1", 1.0, [1], True]), json_values),
        "data": st.one_of(taken, wild, json_values),
    },
    optional={"model": st.sampled_from(["bound.room", "auth.user"]) | json_values},
)
proper_frames = st.fixed_dictionaries(
    {
        "stream": st.sampled_from(["things", "things", "rooms", "coded", "refused"]),
        "payload": payloads,
    }
)
broken_frames = json_values | st.fixed_dictionaries(
    {}, optional={"stream": json_values, "payload": payloads | json_values}
)
texts = st.one_of(
    proper_frames.map(json.dumps),
    proper_frames.map(json.dumps),
    broken_frames.map(json.dumps),
    st.text(),
)


def give(socket: Any, text: str) -> None:
    """Run the consumer; it may raise any error, as the worker logs it."""
    message = socket.message("websocket.receive", text=text)
    # What the database refuses must not spoil the transaction of the test.
    with contextlib.suppress(DatabaseError), transaction.atomic():
        try:
            run_consumer(socket.consumer, message, {}, sender=object)
        except DatabaseError:
            raise
        except Exception as error:
            assert str(error) != ""  # noqa: PT017


@pytest.fixture
def protected(layer: Any) -> Any:
    """A socket with streams that may do little: each is permitted something else."""
    room = Room.objects.create(pk=1, name="kept")
    Post.objects.create(pk=1, title="first", secret="kept")
    Tag.objects.create(pk=1, name="kept")
    TextKeyed.objects.create(pk="1", name="kept")
    Reading.objects.create(post_id=1, room=room)

    def permit(*actions: str) -> Any:
        return lambda self, user, action, pk: action in actions

    posts = bind(
        Post,
        fields=["id", "title", "changed", "attachment", "readers"],
        has_permission=permit("create", "update"),
    )
    rooms = bind(Room, exclude=["is_open", "id"], has_permission=permit("update"))
    coded = bind(TextKeyed, fields=["code"], has_permission=permit("create"))
    refused = bind(Tag, fields=["__all__"], has_permission=permit())
    return client(
        layer, posts, rooms=rooms.consumer, coded=coded.consumer, refused=refused.consumer
    )


@settings(
    max_examples=500,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(text=texts)
def test_no_frame_writes_what_it_may_not(protected: Any, text: str) -> None:
    known = set(Post.objects.values_list("pk", flat=True))

    give(protected, text)

    assert list(Tag.objects.values_list("pk", "name")) == [(1, "kept")]
    assert list(Room.objects.values_list("pk", "is_open")) == [(1, True)]
    assert TextKeyed.objects.get(pk="1").name == "kept"
    assert set(TextKeyed.objects.values_list("name", flat=True)) <= {"kept", ""}
    assert Post.objects.get(pk=1).secret == "kept"
    assert list(Reading.objects.values_list("post", "room")) == [(1, 1)]
    for post in Post.objects.all():
        assert post.secret in ("kept", "initial")
        assert (post.score, post.room, post.price, post.extra) == (0, None, None, None)
        assert post.attachment.name == ""
        assert post.changed.year > 2000
        assert not post.tags.exists()
        assert not post.open_rooms.exists()
        assert post.pk in known or post.pk > max(known)
