from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from channels.lifecycle import run_consumer

from .bindings import bind, client
from .models import Post, Room, Tag, TextKeyed

pytestmark = pytest.mark.django_db

FIELDS = sorted(
    {field.name for field in Post._meta.get_fields()} | {"pk", "room_id", "__class__", "_state"}
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
payloads = st.fixed_dictionaries(
    {},
    optional={
        "action": st.sampled_from(["create", "update", "delete"]) | json_values,
        "pk": st.integers(1, 3) | json_values,
        "data": st.dictionaries(st.sampled_from(FIELDS) | st.text(), json_values) | json_values,
        "model": st.sampled_from(["bound.room", "auth.user"]) | json_values,
    },
)
frames = (
    st.fixed_dictionaries(
        {},
        optional={"stream": st.sampled_from(["things", "rooms", "refused"]), "payload": payloads},
    )
    | json_values
)
texts = frames.map(json.dumps) | st.text()


def give_up_on_nothing_but_errors(socket: Any, text: str) -> None:
    """An error is what the worker logs; anything else would end it."""
    message = socket.message("websocket.receive", text=text)
    try:
        run_consumer(socket.consumer, message, {}, sender=object)
    except Exception as error:
        assert str(error) != ""  # noqa: PT017


@pytest.fixture
def protected(layer: Any) -> Any:
    """A socket with streams that may write titles, no rooms, and nothing at all."""
    Post.objects.create(pk=1, title="first", secret="kept")
    Room.objects.create(pk=1, name="kept")
    TextKeyed.objects.create(pk="1", name="kept")
    refused = bind(TextKeyed, fields=["__all__"], has_permission=lambda *args: False)
    rooms = bind(
        Room, fields=["name"], has_permission=lambda self, user, action, pk: action == "update"
    )
    # A room that is made anew by an update would be a write that nobody may do.
    posts = bind(
        Post, fields=["title"], has_permission=lambda self, user, action, pk: action != "delete"
    )
    return client(layer, posts, rooms=rooms.consumer, refused=refused.consumer)


@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(text=texts)
def test_no_frame_writes_what_it_may_not(protected: Any, text: str) -> None:
    give_up_on_nothing_but_errors(protected, text)

    assert list(TextKeyed.objects.values_list("pk", "name")) == [("1", "kept")]
    assert list(Room.objects.values_list("pk", "is_open")) == [(1, True)]
    assert not Tag.objects.exists()
    first = Post.objects.get(pk=1)
    assert first.secret == "kept"
    for post in Post.objects.all():
        assert post.secret in ("kept", "initial")
        assert (post.score, post.room, post.price, post.extra) == (0, None, None, None)
        assert post.attachment.name == ""
        assert not post.tags.exists()
        assert not post.readers.exists()
