from __future__ import annotations

import subprocess
import sys
import textwrap
from abc import ABC
from pathlib import Path
from typing import Any

import pytest
from django.db.models.signals import post_save

import channels.binding
import channels.binding.base
from channels.binding.base import CREATE, DELETE, UPDATE, Binding, BindingMetaclass
from channels.binding.registry import registry
from channels.binding.websockets import WebsocketBinding, WebsocketBindingWithMembers

from .bindings import ToAll, actions, bind, listener, told
from .models import Post, Room, TextKeyed

pytestmark = pytest.mark.django_db


def test_the_names_that_code_imports() -> None:
    assert channels.binding.Binding is channels.binding.base.Binding
    assert (CREATE, UPDATE, DELETE) == ("create", "update", "delete")
    assert issubclass(WebsocketBinding, Binding)
    assert issubclass(WebsocketBindingWithMembers, WebsocketBinding)


def test_a_class_defined_now_is_registered_at_once(layer: Any) -> None:
    class RoomBinding(ToAll):
        model = Room
        fields = ("name",)

    socket = listener(layer)
    Room.objects.create(name="lobby")

    assert RoomBinding in BindingMetaclass.binding_classes
    assert RoomBinding.model_label == "bound.room"
    assert [payload["data"] for payload in told(socket)] == [{"name": "lobby"}]


def test_classes_wait_for_the_models_and_may_be_completed_meanwhile(layer: Any) -> None:
    BindingMetaclass.register_immediately = False

    class Early(ToAll):
        model = "bound.Room"

    socket = listener(layer)
    Room.objects.create(name="before")
    Early.fields = ["name"]
    registry.register_all()
    Room.objects.create(name="after")

    assert Early.model is Room
    assert [payload["data"]["name"] for payload in told(socket)] == ["after"]
    assert BindingMetaclass.register_immediately is True


def test_a_class_defined_while_others_are_registered_is_not_forgotten(layer: Any) -> None:
    registry.register_immediately = False

    class Defining(ToAll):
        model = Room
        fields = ("name",)

        @classmethod
        def register(cls) -> None:
            super().register()
            if cls is Defining:
                bind(TextKeyed, fields=["name"])

    socket = listener(layer)
    registry.register_all()
    TextKeyed.objects.create(code="a", name="x")

    assert actions(socket) == ["create"]


def test_registering_again_tells_nothing_twice(layer: Any) -> None:
    binding = bind(Room, fields=["name"])
    binding.register()
    BindingMetaclass.register_all()

    socket = listener(layer)
    Room.objects.create(name="lobby")

    assert len(told(socket)) == 1


def test_a_class_that_nobody_refers_to_goes_on(layer: Any) -> None:
    import gc

    bind(Room, fields=["name"])
    gc.collect()

    socket = listener(layer)
    Room.objects.create(name="lobby")

    assert len(told(socket)) == 1


def test_a_class_without_a_model_of_its_own_is_an_error() -> None:
    known = registry.binding_classes[:]

    with pytest.raises(ValueError, match=r"Modelless has no model.*abstract"):

        class Modelless(WebsocketBinding):
            fields = ("name",)

    assert registry.binding_classes == known


def test_an_abstract_class_says_so_and_is_not_connected() -> None:
    connected = len(post_save.receivers)

    class Abstract(WebsocketBinding):
        model = None

    assert not hasattr(Abstract, "model_label")
    assert len(post_save.receivers) == connected


def test_a_subclass_of_a_complete_binding_inherits_its_model(layer: Any) -> None:
    binding = bind(Room, fields=["name"])
    bind(Room, base=binding, stream="more")

    socket = listener(layer)
    Room.objects.create(name="lobby")

    assert sorted(frame["stream"] for frame in socket.frames()) == ["more", "things"]


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({}, 'set fields, or exclude.*"__all__"'),
        ({"fields": None, "exclude": None}, "set fields, or exclude"),
        ({"fields": "name"}, r"fields of .* must be a list.*\['name'\]"),
        ({"exclude": "name"}, r"exclude of .* must be a list.*\['name'\]"),
        ({"exclude": "__all__"}, "exclude of .* must be a list"),
    ],
)
def test_a_selection_of_fields_is_required(attributes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bind(Room, **attributes)


@pytest.mark.parametrize("name", ["bound.Missing", "missing.Room", "Room", "tests.bound.Room"])
def test_a_model_that_does_not_exist_is_an_error(name: str) -> None:
    with pytest.raises(LookupError, match=f"^The binding .* has no model '{name}'.*'app.Model'"):
        bind(name, fields=["name"])


def test_the_metaclass_is_a_type_to_build_on(layer: Any) -> None:
    made = []

    class Meta(BindingMetaclass):
        def __new__(mcs, name: str, bases: Any, body: Any) -> Any:
            made.append(name)
            return super().__new__(mcs, name, bases, body)

    class RoomBinding(ToAll, metaclass=Meta):
        model = Room
        fields = ("name",)

    socket = listener(layer)
    Room.objects.create(name="lobby")

    assert issubclass(BindingMetaclass, type)
    assert made == ["RoomBinding"]
    assert Meta.binding_classes is BindingMetaclass.binding_classes is registry.binding_classes
    assert Meta.register_immediately is registry.register_immediately is True
    assert len(told(socket)) == 1


def test_bindings_mix_with_classes_that_have_a_metaclass_of_their_own() -> None:
    class Mixed(ToAll, ABC):
        model = None

    assert issubclass(Mixed, Binding)


def test_several_models_can_be_registered(layer: Any) -> None:
    class Rooms(ToAll):
        model = Room
        fields = ("name",)

        @classmethod
        def get_registered_models(cls) -> list[Any]:
            return [Room, TextKeyed]

    socket = listener(layer)
    TextKeyed.objects.create(code="a", name="x")

    assert [(p["pk"], p["data"], p["model"]) for p in told(socket)] == [
        ("a", {"name": "x"}, "bound.room")
    ]
    assert Rooms in registry.binding_classes


def test_each_model_has_its_own_bindings(layer: Any) -> None:
    bind(Room, fields=["name"], stream="rooms")
    bind(Post, fields=["title"], stream="posts")

    socket = listener(layer)
    Post.objects.create(title="first")

    assert [frame["stream"] for frame in socket.frames()] == ["posts"]


SITE = """
import sys
from types import ModuleType
import django
from django.conf import settings

settings.configure(
    INSTALLED_APPS={apps},
    DATABASES={{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    CHANNEL_LAYERS={{
        "default": {{"BACKEND": "channels.layers.InMemoryChannelLayer", "ROUTING": []}}
    }},
)
django.setup()
from django.db import connection
from django.contrib.contenttypes.models import ContentType
from channels import Group, channel_layers
with connection.schema_editor() as editor:
    editor.create_model(ContentType)
Group("all").add("x!y")
ContentType.objects.create(app_label="a", model="b")
print(channel_layers["default"].receive(["x!"])[1]["text"])
"""

APP = """
from channels.binding.websockets import WebsocketBinding

class Early(WebsocketBinding):
    model = "contenttypes.ContentType"
    stream = "types"
    fields = ["model"]

    @classmethod
    def group_names(cls, instance):
        return ["all"]
"""


@pytest.mark.parametrize("channels_first", [True, False])
def test_a_binding_in_a_models_module_is_loaded_before_the_models(
    tmp_path: Path, channels_first: bool
) -> None:
    (tmp_path / "early").mkdir()
    (tmp_path / "early" / "__init__.py").touch()
    (tmp_path / "early" / "models.py").write_text(textwrap.dedent(APP))
    apps = ["early", "django.contrib.auth", "django.contrib.contenttypes"]
    apps.insert(0 if channels_first else 3, "channels")
    (tmp_path / "main.py").write_text(SITE.format(apps=apps))

    done = subprocess.run(
        [sys.executable, "-W", "error", str(tmp_path / "main.py")],
        capture_output=True,
        text=True,
        timeout=60,
        env={"PYTHONPATH": f"{tmp_path}:{Path(__file__).parents[2]}"},
        check=False,
    )

    assert done.stderr == ""
    assert '"data": {"model": "b"}' in done.stdout
