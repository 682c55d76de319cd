"""The manager of the channel layers, and the wrappers that it makes."""

from __future__ import annotations

import copy
import threading
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings
from django.utils.module_loading import import_string

from channels import Channel, Group, channel_layers, route
from channels.asgi import (
    OLD_BACKENDS,
    ChannelLayerManager,
    ChannelLayerWrapper,
    InvalidChannelLayerError,
    get_asgi_application,
    get_channel_layer,
)
from channels.exceptions import InvalidChannelLayerError as SameError
from channels.layers import InMemoryChannelLayer
from channels.message import Message

from .consumers import consumer
from .tools import ForeignLayer, drain

MEMORY = "channels.layers.InMemoryChannelLayer"


def configured(**entry: Any) -> override_settings:
    """``CHANNEL_LAYERS`` with the one alias ``"one"``."""
    return override_settings(CHANNEL_LAYERS={"one": entry})


def entry(**more: Any) -> dict[str, Any]:
    return {"BACKEND": MEMORY, "ROUTING": [], **more}


# Errors name the alias and the remedy.


def test_invalid_channel_layer_error_is_a_value_error() -> None:
    assert issubclass(InvalidChannelLayerError, ValueError)
    assert SameError is InvalidChannelLayerError


@pytest.mark.parametrize(
    ("settings", "pattern"),
    [
        ({"ROUTING": []}, r"\['one'\] has no BACKEND: set it to"),
        (entry(BACKEND="no.such.Layer"), r"\['one'\].*'no\.such\.Layer'.*cannot be imported.*che"),
        (entry(BACKEND="nodots"), r"\['one'\].*'nodots'.*cannot be imported"),
        (entry(BACKEND=InMemoryChannelLayer), r"\['one'\].*BACKEND.*must be the dotted path"),
        ({"BACKEND": MEMORY}, r"\['one'\] has no ROUTING: set it to"),
        (entry(CONFIG={"no": 1}), r"\['one'\].*CONFIG that channels\.layers.*'no'"),
    ],
)
def test_an_entry_that_cannot_be_used_is_an_error_with_alias_and_remedy(
    settings: dict[str, Any], pattern: str
) -> None:
    with configured(**settings), pytest.raises(InvalidChannelLayerError, match=pattern):
        channel_layers["one"]


@pytest.mark.parametrize("value", [None, [entry()], MEMORY])
def test_a_setting_that_is_no_dict_is_an_error(value: Any) -> None:
    with override_settings(CHANNEL_LAYERS=value):
        for use in (channel_layers.__getitem__, channel_layers.__contains__):
            with pytest.raises(InvalidChannelLayerError, match="CHANNEL_LAYERS must be a dict"):
                use("default")


def test_an_entry_that_is_no_dict_is_an_error() -> None:
    with (
        override_settings(CHANNEL_LAYERS={"one": MEMORY}),
        pytest.raises(InvalidChannelLayerError, match=r"\['one'\] must be a dict"),
    ):
        channel_layers["one"]


def test_a_config_that_the_layer_refuses_is_an_error() -> None:
    backend = "tests.core.test_asgi.Picky"
    with (
        configured(**entry(BACKEND=backend)),
        pytest.raises(
            InvalidChannelLayerError, match=r"'one'.*Picky does not take: hosts must be a list"
        ),
    ):
        channel_layers["one"]


class Picky:
    def __init__(self) -> None:
        raise ValueError("hosts must be a list")


def test_an_unknown_alias_is_a_key_error_that_names_the_known_ones() -> None:
    with pytest.raises(KeyError, match=r"no channel layer 'two'.*\['default'\]"):
        channel_layers["two"]
    with override_settings(CHANNEL_LAYERS={}), pytest.raises(KeyError, match="no entries"):
        channel_layers["default"]
    with pytest.raises(KeyError):
        channel_layers.make_test_backend("two")


def test_without_the_setting_there_are_no_layers(settings: Any) -> None:
    del settings.CHANNEL_LAYERS
    assert channel_layers.configs == {}
    assert "default" not in channel_layers


# The manager


def test_a_layer_is_made_from_config_once() -> None:
    with configured(**entry(CONFIG={"capacity": 7})):
        assert channel_layers["one"] is channel_layers["one"]
        assert channel_layers["one"].capacity == 7
        assert channel_layers.make_backend("one") is not channel_layers["one"]
        assert channel_layers.configs == {"one": entry(CONFIG={"capacity": 7})}


def test_the_manager_follows_override_settings() -> None:
    before = channel_layers["default"]
    with override_settings(CHANNEL_LAYERS={"default": entry(CONFIG={"capacity": 3})}):
        inside = channel_layers["default"]
        assert inside is not before
        assert inside.capacity == 3
    assert channel_layers["default"].capacity == before.capacity
    assert "one" not in channel_layers
    with configured(**entry()):
        assert "one" in channel_layers
        assert "default" not in channel_layers


def test_other_settings_leave_the_layers_alone() -> None:
    before = channel_layers["default"]
    with override_settings(DEBUG=True):
        assert channel_layers["default"] is before


def test_set_places_a_layer_and_returns_what_was_there() -> None:
    manager = ChannelLayerManager()
    first, second = (ChannelLayerWrapper(InMemoryChannelLayer(), "default", []) for _ in "12")
    assert manager.set("default", first) is None
    assert manager["default"] is first
    assert manager.set("default", second) is first
    assert manager.set("default", None) is second
    configured_one = manager["default"]
    assert configured_one not in (first, second)
    assert manager.set("default", first) is configured_one


def test_set_works_for_aliases_that_are_not_configured() -> None:
    manager = ChannelLayerManager()
    wrapper = ChannelLayerWrapper(InMemoryChannelLayer(), "extra", [])
    manager.set("extra", wrapper)
    assert "extra" in manager
    assert manager["extra"] is wrapper


def test_placed_layers_survive_a_change_of_settings() -> None:
    manager = ChannelLayerManager()
    wrapper = ChannelLayerWrapper(InMemoryChannelLayer(), "default", [])
    manager.set("default", wrapper)
    with override_settings(CHANNEL_LAYERS={}):
        assert manager["default"] is wrapper
    assert manager["default"] is wrapper


def test_all_threads_get_one_object() -> None:
    manager = ChannelLayerManager()
    barrier = threading.Barrier(8)
    found = []

    def look() -> None:
        barrier.wait()
        found.append(manager["slow"])

    with override_settings(CHANNEL_LAYERS={"slow": entry(BACKEND=f"{__name__}.Slow")}):
        threads = [threading.Thread(target=look) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(found) == 8
    assert len(set(map(id, found))) == 1
    assert Slow.made == 1


class Slow(InMemoryChannelLayer):
    """Lets every other thread run while it is made."""

    made = 0

    def __init__(self) -> None:
        super().__init__()
        threading.Event().wait(0.01)
        Slow.made += 1


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("asgiref.inmemory.ChannelLayer", "channels.layers.InMemoryChannelLayer"),
        ("asgi_redis.RedisChannelLayer", "channels.layers.redis.RedisChannelLayer"),
    ],
)
def test_old_backend_paths_are_understood_with_a_deprecation_warning(old: str, new: str) -> None:
    with configured(**entry(BACKEND=old)):
        with pytest.warns(DeprecationWarning, match=f"'one'.*'{old}' is now '{new}'"):
            wrapper = channel_layers["one"]
        assert type(wrapper.channel_layer) is import_string(new)


def test_the_old_path_of_the_sentinel_layer_is_understood_too() -> None:
    new = OLD_BACKENDS["asgi_redis.RedisSentinelChannelLayer"]
    assert new == "channels.layers.redis.RedisSentinelChannelLayer"


def test_make_test_backend_uses_test_config() -> None:
    with configured(**entry(CONFIG={"capacity": 1}, TEST_CONFIG={"capacity": 2})):
        assert channel_layers.make_test_backend("one").capacity == 2
        assert channel_layers.make_backend("one").capacity == 1


def test_make_test_backend_without_test_config_is_an_error_with_alias_and_remedy() -> None:
    with (
        configured(**entry()),
        pytest.raises(InvalidChannelLayerError, match=r"\['one'\] has no TEST_CONFIG: add one"),
    ):
        channel_layers.make_test_backend("one")


# Wrappers


def test_a_wrapper_has_layer_alias_and_routing_and_delegates_the_rest() -> None:
    layer = InMemoryChannelLayer(capacity=3)
    wrapper = ChannelLayerWrapper(channel_layer=layer, alias="a", routing=[])
    assert (wrapper.channel_layer, wrapper.alias, wrapper.routing) == (layer, "a", [])
    assert wrapper.capacity == 3
    assert wrapper.ChannelFull is layer.ChannelFull
    assert str(wrapper) == "a (channels.layers.memory.InMemoryChannelLayer)"
    assert repr(wrapper) == f"<ChannelLayerWrapper {wrapper}>"
    with pytest.raises(AttributeError, match="nonsense"):
        _ = wrapper.nonsense


def test_a_wrapper_can_be_copied() -> None:
    wrapper = ChannelLayerWrapper(InMemoryChannelLayer(), "a", [])
    assert copy.copy(wrapper).channel_layer is wrapper.channel_layer


def test_the_layer_of_a_wrapper_may_be_replaced() -> None:
    wrapper = ChannelLayerWrapper(InMemoryChannelLayer(), "a", [])
    wrapper.channel_layer = InMemoryChannelLayer(capacity=9)
    assert wrapper.capacity == 9
    Channel("x", channel_layer=wrapper).send({"n": 1})
    assert drain(wrapper.channel_layer, "x") == [{"n": 1}]


def test_the_router_is_made_once() -> None:
    wrapper = ChannelLayerWrapper(InMemoryChannelLayer(), "a", "tests.core.consumers.routing")
    assert wrapper.router is wrapper.router
    assert wrapper.router.match(Message({}, "listed", wrapper)) == (consumer, {})
    wrapper.router.add_route(route("b", consumer))
    assert wrapper.router.channels == {"listed", "b"}


def test_an_unimportable_routing_is_improperly_configured_and_named_on_use() -> None:
    with configured(**entry(ROUTING="no.such.routing")):
        wrapper = channel_layers["one"]
        for _ in range(2):
            with pytest.raises(ImproperlyConfigured, match=r"routing 'no\.such\.routing'"):
                _ = wrapper.router


def test_local_only_is_what_the_layer_says() -> None:
    assert ChannelLayerWrapper(InMemoryChannelLayer(), "a", []).local_only() is True


def test_a_layer_that_does_not_say_counts_as_not_local() -> None:
    assert ChannelLayerWrapper(ForeignLayer(), "a", []).local_only() is False


# Without a wrapper


def test_get_channel_layer_returns_the_raw_layer() -> None:
    with configured(**entry(ROUTING="never.imported")):
        layer = get_channel_layer("one")
        assert type(layer) is InMemoryChannelLayer
        assert layer is channel_layers["one"].channel_layer
    with pytest.raises(KeyError):
        get_channel_layer("two")


def test_get_asgi_application_imports_no_routing() -> None:
    with configured(**entry(ROUTING="never.imported")):
        application = get_asgi_application("one", http_timeout=1, max_body_size=5)
    assert callable(application)


def test_get_asgi_application_of_a_local_layer_warns_that_no_worker_process_sees_it(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with configured(**entry()):
        get_asgi_application("one")
        [record] = caplog.records
        assert (record.name, record.levelname) == ("django.channels", "WARNING")
        assert "one (channels.layers.memory.InMemoryChannelLayer)" in record.getMessage()
        monkeypatch.setattr(InMemoryChannelLayer, "local_only", False)
        get_asgi_application("one")
    assert len(caplog.records) == 1


def test_get_asgi_application_of_an_unknown_alias_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        get_asgi_application("two")


def test_a_channel_follows_its_alias_when_the_settings_change() -> None:
    channel, group = Channel("x"), Group("x")
    with override_settings(CHANNEL_LAYERS={"default": entry(CONFIG={"capacity": 1})}):
        assert channel.channel_layer is group.channel_layer is channel_layers["default"]
        assert channel.channel_layer.capacity == 1
    assert channel.channel_layer is channel_layers["default"]


def test_a_wrapper_from_the_settings_that_is_put_back_is_not_pinned() -> None:
    ours = ChannelLayerWrapper(InMemoryChannelLayer(), "default", [])
    configured = channel_layers["default"]
    channel_layers.set("default", ours)
    channel_layers.set("default", configured)
    assert channel_layers["default"] is configured
    with override_settings(CHANNEL_LAYERS={"default": entry(CONFIG={"capacity": 1})}):
        assert channel_layers["default"].capacity == 1


def test_the_error_of_a_test_config_names_it() -> None:
    with (
        configured(**entry(TEST_CONFIG={"capacity": "10"})),
        pytest.raises(InvalidChannelLayerError, match=r"has a TEST_CONFIG that"),
    ):
        ChannelLayerManager().make_test_backend("one")
