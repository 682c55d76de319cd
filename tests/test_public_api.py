"""The public face: what 1.x code imports, how it calls it, and what a wheel ships of it.

The tables are python-api of the contract, line by line. Parameters that are only ours stand
after those of 1.x or are named in the contract too; a change here is a change of what people
rely on.
"""

from __future__ import annotations

import copy
import importlib
import inspect
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from django.core.management import get_commands, load_command_class

ROOT = Path(__file__).parents[1]

#: By module: each name, and the parameters of its call without annotations; ``None`` where what
#: counts is that the name is there (instances, signals, plain exceptions, decorators).
PUBLIC: dict[str, dict[str, str | None]] = {
    "channels": {
        "Channel": "(name, alias='default', channel_layer=None)",
        "Group": "(name, alias='default', channel_layer=None)",
        "channel_layers": None,
        "route": "(channels, consumer, **filters)",
        "route_class": "(consumer, **filters)",
        "include": "(routing, **filters)",
        "DEFAULT_CHANNEL_LAYER": None,
        "__version__": None,
    },
    "channels.channel": {
        "Channel": "(name, alias='default', channel_layer=None)",
        "Group": "(name, alias='default', channel_layer=None)",
        "Channel.send": "(self, content, immediately=False)",
        "Group.send": "(self, content, immediately=False)",
        "Group.add": "(self, channel)",
        "Group.discard": "(self, channel)",
    },
    "channels.asgi": {
        "ChannelLayerManager": "()",
        "ChannelLayerManager.__getitem__": "(self, alias)",
        "ChannelLayerManager.__contains__": "(self, alias)",
        "ChannelLayerManager.set": "(self, alias, layer)",
        "ChannelLayerManager.make_backend": "(self, alias)",
        "ChannelLayerManager.make_test_backend": "(self, alias)",
        "ChannelLayerManager.configs": None,
        "channel_layers": None,
        "ChannelLayerWrapper": "(channel_layer, alias, routing)",
        "ChannelLayerWrapper.router": None,
        "ChannelLayerWrapper.local_only": "(self)",
        "InvalidChannelLayerError": None,
        "DEFAULT_CHANNEL_LAYER": None,
        "get_channel_layer": "(alias='default')",
        "get_asgi_application": (
            "(alias='default', http=None, http_timeout=60, websocket_handshake_timeout=5, "
            "websocket_timeout=None, ws_protocols=None, max_body_size=1073741824, "
            "max_frame_size=1048576)"
        ),
    },
    "channels.message": {
        "Message": "(content, channel_name, channel_layer)",
        "Message.__getitem__": "(self, key)",
        "Message.__setitem__": "(self, key, value)",
        "Message.__contains__": "(self, key)",
        "Message.get": "(self, key, default=None)",
        "Message.keys": "(self)",
        "Message.values": "(self)",
        "Message.items": "(self)",
        "Message.copy": "(self)",
        "pending_message_store": None,
        "pending_message_store.prepare": "(**kwargs)",
        "pending_message_store.active": None,
        "pending_message_store.append": "(sender, content)",
        "pending_message_store.send_and_flush": "(**kwargs)",
    },
    "channels.routing": {
        "route": "(channels, consumer, **filters)",
        "Route": "(channels, consumer, **filters)",
        "Route.match": "(self, message)",
        "Route.channel_names": "(self)",
        "route_class": "(consumer, **filters)",
        "RouteClass": "(consumer, **filters)",
        "include": "(routing, **filters)",
        "Include": "(routing, **filters)",
        "Include.match": "(self, message)",
        "Include.channel_names": "(self)",
        "Router": "(routing)",
        "Router.channels": None,
        "Router.match": "(self, message)",
        "Router.add_route": "(self, route)",
        "Router.check_default": "(self, http_consumer=None)",
        "null_consumer": "(message, **kwargs)",
        "connect_consumer": "(message, **kwargs)",
    },
    "channels.exceptions": {
        "ConsumeLater": None,
        "ResponseLater": None,
        "RequestTimeout": None,
        "RequestAborted": None,
        "DenyConnection": None,
        "ChannelSocketException": None,
        "ChannelSocketException.run": "(self, message)",
        "WebsocketCloseException": "(code=None)",
        "WebsocketCloseException.run": "(self, message)",
        "SendNotAvailableOnDemultiplexer": None,
        "ChannelFull": None,
        "MessageTooLarge": None,
    },
    "channels.signals": {
        "consumer_started": None,
        "consumer_finished": None,
        "worker_ready": None,
        "worker_process_ready": None,
    },
    "channels.worker": {
        "Worker": (
            "(channel_layer, callback=None, message_retries=10, signal_handlers=True, "
            "only_channels=None, exclude_channels=None)"
        ),
        "Worker.run": "(self)",
        "Worker.ready": "(self)",
        "Worker.apply_channel_filters": "(self, channels)",
        "WorkerGroup": "(*args, n_threads=None, stop_gracefully=True, **kwargs)",
    },
    "channels.handler": {
        "AsgiRequest": "(message)",
        "AsgiRequest.ResponseLater": None,
        "AsgiRequest.body_receive_timeout": None,
        "AsgiHandler": "(message=None)",
        "AsgiHandler.__call__": "(self, message)",
        "AsgiHandler.__iter__": "(self)",
        "AsgiHandler.get_response": "(self, request)",
        "AsgiHandler.request_class": None,
        "AsgiHandler.chunk_size": None,
        "AsgiHandler.encode_response": "(response)",
        "AsgiHandler.chunk_bytes": "(data)",
        "ViewConsumer": "()",
        "ViewConsumer.__call__": "(self, message)",
        "ViewConsumer.handler_class": None,
    },
    "channels.staticfiles": {
        "StaticFilesHandler": "(message=None)",
        "StaticFilesConsumer": "()",
    },
    "channels.sessions": {
        "channel_session": "(consumer)",
        "http_session": "(consumer)",
        "channel_and_http_session": "(consumer)",
        "enforce_ordering": "(func=None, slight=False)",
        "session_for_reply_channel": "(reply_channel)",
        "wait_channel_name": "(reply_channel)",
        "requeue_messages": "(message)",
    },
    "channels.auth": {
        "channel_session_user": "(consumer)",
        "http_session_user": "(consumer)",
        "channel_session_user_from_http": "(consumer)",
        "channel_and_http_session_user_from_http": "(consumer)",
        "transfer_user": "(from_session, to_session)",
    },
    "channels.security.websockets": {
        "BaseOriginValidator": "(func)",
        "BaseOriginValidator.validate_origin": "(self, message, origin)",
        "BaseOriginValidator.get_origin": "(self, message)",
        "BaseOriginValidator.get_header": "(self, message, name)",
        "AllowedHostsOnlyOriginValidator": "(func)",
        "allowed_hosts_only": "(func)",
    },
    "channels.generic": {"BaseConsumer": "(message, **kwargs)"},
    "channels.generic.base": {
        "BaseConsumer": "(message, **kwargs)",
        "BaseConsumer.channel_names": "()",
        "BaseConsumer.as_route": "(attrs=None, **filters)",
        "BaseConsumer.get_handler": "(self, message, **kwargs)",
        "BaseConsumer.dispatch": "(self, message, **kwargs)",
    },
    "channels.generic.websockets": {
        "WebsocketConsumer": "(message, **kwargs)",
        "WebsocketConsumer.connection_groups": "(self, **kwargs)",
        "WebsocketConsumer.connect": "(self, message, **kwargs)",
        "WebsocketConsumer.receive": "(self, text=None, bytes=None, **kwargs)",
        "WebsocketConsumer.disconnect": "(self, message, **kwargs)",
        "WebsocketConsumer.raw_connect": "(self, message, **kwargs)",
        "WebsocketConsumer.raw_receive": "(self, message, **kwargs)",
        "WebsocketConsumer.raw_disconnect": "(self, message, **kwargs)",
        "WebsocketConsumer.send": "(self, text=None, bytes=None, close=False)",
        "WebsocketConsumer.group_send": "(name, text=None, bytes=None, close=False)",
        "WebsocketConsumer.close": "(self, status=True)",
        "JsonWebsocketConsumer.receive": "(self, content, **kwargs)",
        "JsonWebsocketConsumer.send": "(self, content, close=False)",
        "JsonWebsocketConsumer.group_send": "(name, content, close=False)",
        "JsonWebsocketConsumer.encode_json": "(content)",
        "JsonWebsocketConsumer.decode_json": "(text)",
        "WebsocketDemultiplexer": "(message, **kwargs)",
        "WebsocketDemultiplexer.connect": "(self, message, **kwargs)",
        "WebsocketDemultiplexer.receive": "(self, content, **kwargs)",
        "WebsocketDemultiplexer.disconnect": "(self, message, **kwargs)",
        "WebsocketDemultiplexer.send": "(self, *args, **kwargs)",
        "WebsocketDemultiplexer.group_send": "(*args, **kwargs)",
        "WebsocketMultiplexer": "(stream, reply_channel)",
        "WebsocketMultiplexer.send": "(self, payload)",
        "WebsocketMultiplexer.encode": "(stream, payload)",
        "WebsocketMultiplexer.encode_json": "(content)",
        "WebsocketMultiplexer.group_send": "(name, stream, payload, close=False)",
    },
    "channels.binding": {"Binding": "()"},
    "channels.binding.base": {
        "CREATE": None,
        "UPDATE": None,
        "DELETE": None,
        "BindingMetaclass": None,
        "BindingMetaclass.register_all": "()",
        "BindingMetaclass.binding_classes": None,
        "BindingMetaclass.register_immediately": None,
        "Binding": "()",
        "Binding.register": "()",
        "Binding.get_registered_models": "()",
        "Binding.pre_change_receiver": "(instance, action)",
        "Binding.post_change_receiver": "(instance, action, **kwargs)",
        "Binding.send_messages": "(self, instance, group_names, action, **kwargs)",
        "Binding.group_names": "(instance)",
        "Binding.serialize": "(self, instance, action)",
        "Binding.consumer": "(message, **kwargs)",
        "Binding.trigger_inbound": "(message, **kwargs)",
        "Binding.deserialize": "(self, message)",
        "Binding.has_permission": "(self, user, action, pk)",
        "Binding.run_action": "(self, action, pk, data)",
        "Binding.create": "(self, data)",
        "Binding.update": "(self, pk, data)",
        "Binding.delete": "(self, pk)",
    },
    "channels.binding.websockets": {
        "WebsocketBinding": "()",
        "WebsocketBinding.group_names": "(instance)",
        "WebsocketBinding.serialize_data": "(self, instance)",
        "WebsocketBinding.has_permission": "(self, user, action, pk)",
        "WebsocketBindingWithMembers": "()",
    },
    "channels.delay.models": {
        "DelayedMessage": None,
        "DelayedMessage.delay": None,
        "DelayedMessage.send": "(self, channel_layer=None, requeue_delay=1000)",
        "DelayedMessage.objects.is_due": "()",
    },
    "channels.delay.worker": {
        "Worker": "(channel_layer, signal_handlers=True, database_sleep_duration=1)",
        "Worker.run": "(self)",
    },
    "channels.test": {
        "ChannelTestCase": "(methodName='runTest')",
        "TransactionChannelTestCase": "(methodName='runTest')",
        "Client": "(alias='default')",
        "WSClient": "(alias='default', ordered=False)",
        "HttpClient": "(alias='default', ordered=False)",
        "apply_routes": "(routes, aliases=None)",
        "ChannelLiveServerTestCase": "(methodName='runTest')",
    },
    "channels.test.base": {
        "ChannelTestCaseMixin": "()",
        "ChannelTestCaseMixin.get_next_message": "(self, channel, alias='default', require=False)",
        "ChannelTestCase.get_next_message": "(self, channel, alias='default', require=False)",
        "Client.send": "(self, to, content=None)",
        "Client.consume": "(self, channel, fail_on_none=True)",
        "Client.send_and_consume": "(self, channel, content=None, fail_on_none=True)",
        "Client.receive": "(self)",
        "Client.join_group": "(self, group_name)",
        "Client.get_next_message": "(self, channel)",
        "Client.get_consumer_by_channel": "(self, channel)",
        "Client.channel_layer": None,
    },
    "channels.test.http": {"HttpClient": "(alias='default', ordered=False)"},
    "channels.test.websocket": {
        "WSClient.send": "(self, to, content=None, text=None, path='/')",
        "WSClient.send_and_consume": (
            "(self, channel, content=None, text=None, path='/', fail_on_none=True, "
            "check_accept=True)"
        ),
        "WSClient.receive": "(self, json=True)",
        "WSClient.set_cookie": "(self, key, value)",
        "WSClient.set_header": "(self, key, value)",
        "WSClient.get_cookies": "(self)",
        "WSClient.headers": None,
        "WSClient.session": None,
        "WSClient.login": "(self, **credentials)",
        "WSClient.force_login": "(self, user, backend=None)",
        "WSClient.logout": "(self)",
    },
    "channels.test.liveserver": {
        "ChannelLiveServerTestCase.live_server_url": None,
        "ChannelLiveServerTestCase.live_server_ws_url": None,
        "ChannelLiveServerTestCase.ProtocolServerProcess": None,
        "ChannelLiveServerTestCase.WorkerProcess": None,
        "ProtocolServerProcess": None,
        "WorkerProcess": None,
    },
    "channels.layers": {
        "InMemoryChannelLayer": (
            "(expiry=60, group_expiry=86400, capacity=1000, channel_capacity=None, "
            "max_message_size=None)"
        ),
    },
    "channels.layers.memory": {
        "InMemoryChannelLayer.send": "(self, channel, message)",
        "InMemoryChannelLayer.receive": "(self, channels, block=False)",
        "InMemoryChannelLayer.receive_many": "(self, channels, block=False)",
        "InMemoryChannelLayer.receive_async": "(self, channels)",
        "InMemoryChannelLayer.new_channel": "(self, pattern)",
        "InMemoryChannelLayer.group_add": "(self, group, channel)",
        "InMemoryChannelLayer.group_discard": "(self, group, channel)",
        "InMemoryChannelLayer.group_channels": "(self, group)",
        "InMemoryChannelLayer.send_group": "(self, group, message)",
        "InMemoryChannelLayer.flush": "(self)",
        "InMemoryChannelLayer.global_statistics": "(self)",
        "InMemoryChannelLayer.channel_statistics": "(self, channel)",
    },
    "channels.layers.redis": {
        "RedisChannelLayer": None,
        "RedisClusterChannelLayer": None,
        "RedisSentinelChannelLayer": None,
    },
    "channels.utils": {"name_that_thing": "(thing)"},
    "channels.log": {"setup_logger": "(name, verbosity=1)"},
    "channels.management.commands.runserver": {
        "Command.server_cls": None,
        "Command.log_action": "(self, protocol, action, details)",
        "WorkerThread": None,
    },
    "channels.management.commands.runworker": {"Command": None},
    "channels.delay.management.commands.rundelay": {"Command": None},
}

#: The parameters that 1.x settings may give the Redis layer, in their order.
REDIS_PARAMETERS = {
    "hosts": None,
    "prefix": "asgi:",
    "expiry": 60,
    "group_expiry": 86400,
    "capacity": 1000,
    "channel_capacity": None,
    "symmetric_encryption_keys": None,
    "stats_prefix": "asgi-meta:",
    "connection_kwargs": None,
}

#: What a class is: subclasses of 1.x projects, and their ``except`` clauses, count on it.
BASES = [
    ("channels.asgi.InvalidChannelLayerError", "builtins.ValueError"),
    ("channels.exceptions.WebsocketCloseException", "channels.exceptions.ChannelSocketException"),
    ("channels.exceptions.ChannelFull", "builtins.Exception"),
    ("channels.exceptions.ConsumeLater", "builtins.Exception"),
    ("channels.handler.AsgiRequest", "django.http.HttpRequest"),
    ("channels.handler.AsgiHandler", "django.core.handlers.base.BaseHandler"),
    ("channels.staticfiles.StaticFilesHandler", "channels.handler.AsgiHandler"),
    ("channels.staticfiles.StaticFilesConsumer", "channels.handler.ViewConsumer"),
    ("channels.routing.RouteClass", "channels.routing.Route"),
    ("channels.worker.WorkerGroup", "channels.worker.Worker"),
    (
        "channels.security.websockets.AllowedHostsOnlyOriginValidator",
        "channels.security.websockets.BaseOriginValidator",
    ),
    ("channels.generic.websockets.WebsocketConsumer", "channels.generic.BaseConsumer"),
    (
        "channels.generic.websockets.JsonWebsocketConsumer",
        "channels.generic.websockets.WebsocketConsumer",
    ),
    (
        "channels.generic.websockets.WebsocketDemultiplexer",
        "channels.generic.websockets.JsonWebsocketConsumer",
    ),
    ("channels.binding.base.BindingMetaclass", "builtins.type"),
    ("channels.binding.websockets.WebsocketBinding", "channels.binding.Binding"),
    (
        "channels.binding.websockets.WebsocketBindingWithMembers",
        "channels.binding.websockets.WebsocketBinding",
    ),
    ("channels.delay.models.DelayedMessage", "django.db.models.Model"),
    ("channels.test.ChannelTestCase", "django.test.TestCase"),
    ("channels.test.ChannelTestCase", "channels.test.base.ChannelTestCaseMixin"),
    ("channels.test.TransactionChannelTestCase", "django.test.TransactionTestCase"),
    ("channels.test.TransactionChannelTestCase", "channels.test.base.ChannelTestCaseMixin"),
    ("channels.test.WSClient", "channels.test.Client"),
    ("channels.test.HttpClient", "channels.test.Client"),
    ("channels.test.ChannelLiveServerTestCase", "django.test.TransactionTestCase"),
    ("channels.test.liveserver.WorkerProcess", "multiprocessing.Process"),
    ("channels.test.liveserver.ProtocolServerProcess", "multiprocessing.Process"),
    ("channels.management.commands.runserver.WorkerThread", "threading.Thread"),
]

#: Class attributes that subclasses override, and what they are when nobody does.
DEFAULTS: dict[str, Any] = {
    "channels.DEFAULT_CHANNEL_LAYER": "default",
    "channels.binding.base.CREATE": "create",
    "channels.binding.base.UPDATE": "update",
    "channels.binding.base.DELETE": "delete",
    "channels.handler.AsgiHandler.chunk_size": 512 * 1024,
    "channels.handler.AsgiRequest.body_receive_timeout": 60,
    "channels.generic.BaseConsumer.method_mapping": {},
    "channels.generic.BaseConsumer.channel_session": False,
    "channels.generic.BaseConsumer.channel_session_user": False,
    "channels.generic.websockets.WebsocketConsumer.method_mapping": {
        "websocket.connect": "raw_connect",
        "websocket.receive": "raw_receive",
        "websocket.disconnect": "raw_disconnect",
    },
    "channels.generic.websockets.WebsocketConsumer.http_user": False,
    "channels.generic.websockets.WebsocketConsumer.http_user_and_session": False,
    "channels.generic.websockets.WebsocketConsumer.strict_ordering": False,
    "channels.generic.websockets.WebsocketConsumer.groups": None,
    "channels.generic.websockets.WebsocketDemultiplexer.consumers": {},
    "channels.binding.Binding.model": None,
    "channels.binding.Binding.stream": None,
    "channels.binding.Binding.fields": None,
    "channels.binding.Binding.exclude": None,
    "channels.binding.Binding.channel_session_user": True,
    "channels.binding.Binding.channel_session": False,
    "channels.binding.Binding.strict_ordering": False,
    "channels.test.ChannelTestCase.test_channel_aliases": ["default"],
    "channels.test.ChannelLiveServerTestCase.worker_threads": 1,
    "channels.test.ChannelLiveServerTestCase.serve_static": True,
    "channels.test.ChannelLiveServerTestCase.host": "localhost",
}

#: Names that must be one object wherever they are imported from.
SAME = [
    ("channels.Channel", "channels.channel.Channel"),
    ("channels.Group", "channels.channel.Group"),
    ("channels.channel_layers", "channels.asgi.channel_layers"),
    ("channels.route", "channels.routing.route"),
    ("channels.route_class", "channels.routing.route_class"),
    ("channels.include", "channels.routing.include"),
    ("channels.route", "channels.routing.Route"),
    ("channels.DEFAULT_CHANNEL_LAYER", "channels.asgi.DEFAULT_CHANNEL_LAYER"),
    ("channels.generic.BaseConsumer", "channels.generic.base.BaseConsumer"),
    ("channels.binding.Binding", "channels.binding.base.Binding"),
    ("channels.exceptions.ResponseLater", "channels.handler.AsgiRequest.ResponseLater"),
    ("channels.test.ChannelTestCase", "channels.test.base.ChannelTestCase"),
    ("channels.test.Client", "channels.test.base.Client"),
    ("channels.test.WSClient", "channels.test.websocket.WSClient"),
    (
        "channels.generic.websockets.WebsocketDemultiplexer.multiplexer_class",
        "channels.generic.websockets.WebsocketMultiplexer",
    ),
    (
        "channels.security.websockets.allowed_hosts_only",
        "channels.security.websockets.AllowedHostsOnlyOriginValidator",
    ),
    ("channels.handler.AsgiHandler.request_class", "channels.handler.AsgiRequest"),
    ("channels.handler.ViewConsumer.handler_class", "channels.handler.AsgiHandler"),
    ("channels.layers.InMemoryChannelLayer", "channels.layers.memory.InMemoryChannelLayer"),
]

#: Instances have these, beside what their classes show.
INSTANCE_ATTRIBUTES = {
    "Channel": ["name", "channel_layer"],
    "Group": ["name", "channel_layer"],
    "Message": ["content", "channel", "reply_channel", "channel_layer"],
    "ChannelLayerWrapper": ["channel_layer", "alias", "routing", "router"],
    "Route": ["channels", "consumer", "filters"],
    "Include": ["routing", "prefixes"],
    "Router": ["root", "channels"],
    "Client": ["reply_channel", "alias", "channel_layer"],
    "InMemoryChannelLayer": [
        "extensions", "expiry", "group_expiry", "capacity", "ChannelFull", "MessageTooLarge",
        "local_only",
    ],
    "WebsocketMultiplexer": ["stream", "reply_channel"],
    "Worker": ["termed", "in_job", "channel_layer"],
}  # fmt: skip

#: Files that no import would miss, and that the library does not work without.
DATA_FILES = [
    "channels/py.typed",
    "channels/static/channels/js/websocketbridge.js",
    "channels/delay/migrations/0001_initial.py",
    "channels/layers/redis/push.lua",
]


def find(path: str) -> Any:
    """The object at the dotted ``path``, through modules and then attributes."""
    parts = path.split(".")
    for count in range(len(parts), 0, -1):
        try:
            thing: Any = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        for name in parts[count:]:
            thing = getattr(thing, name)
        return thing
    raise AssertionError(f"nothing can be imported of {path}")


def shape(thing: Any) -> str:
    """The parameters of a call, with their defaults and without annotations."""
    signature = inspect.signature(thing)
    bare = [item.replace(annotation=item.empty) for item in signature.parameters.values()]
    return str(signature.replace(parameters=bare, return_annotation=signature.empty))


ENTRIES = [(module, name) for module, names in PUBLIC.items() for name in names]


@pytest.mark.parametrize(("module", "name"), ENTRIES)
def test_a_public_name_can_be_imported_and_called_as_in_1x(module: str, name: str) -> None:
    thing = importlib.import_module(module)
    for part in name.split("."):
        thing = getattr(thing, part)
    expected = PUBLIC[module][name]
    assert expected is None or shape(thing) == expected


def test_everything_that_the_top_exports_is_in_the_table() -> None:
    import channels

    assert sorted(channels.__all__) == sorted(PUBLIC["channels"])


def test_the_redis_layer_takes_the_settings_of_1x() -> None:
    from channels.layers.redis import RedisChannelLayer

    parameters = inspect.signature(RedisChannelLayer).parameters
    found = {name: item.default for name, item in parameters.items()}
    assert list(found.items())[: len(REDIS_PARAMETERS)] == list(REDIS_PARAMETERS.items())


@pytest.mark.parametrize(("path", "base"), BASES)
def test_a_class_is_what_it_was(path: str, base: str) -> None:
    assert issubclass(find(path), find(base))


@pytest.mark.parametrize("path", DEFAULTS)
def test_an_attribute_has_the_default_of_1x(path: str) -> None:
    assert find(path) == DEFAULTS[path]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_two_paths_lead_to_one_object(one: str, other: str) -> None:
    assert find(one) is find(other)


def instances() -> dict[str, Any]:
    import channels
    from channels.asgi import ChannelLayerWrapper
    from channels.generic.websockets import WebsocketMultiplexer
    from channels.layers import InMemoryChannelLayer
    from channels.message import Message
    from channels.routing import Router, null_consumer
    from channels.test import Client
    from channels.worker import Worker

    layer = InMemoryChannelLayer()
    wrapper = ChannelLayerWrapper(layer, "default", [])
    route = channels.route("chat", null_consumer, path="^/a")
    return {
        "Channel": channels.Channel("chat"),
        "Group": channels.Group("chat"),
        "Message": Message({"reply_channel": "r!x"}, "chat", wrapper),
        "ChannelLayerWrapper": wrapper,
        "Route": route,
        "Include": channels.include([route], path="^/b"),
        "Router": Router([route]),
        "Client": Client(),
        "InMemoryChannelLayer": layer,
        "WebsocketMultiplexer": WebsocketMultiplexer("s", channels.Channel("r!x")),
        "Worker": Worker(wrapper),
    }


@pytest.mark.parametrize("name", INSTANCE_ATTRIBUTES)
def test_instances_have_their_attributes(name: str) -> None:
    instance = instances()[name]
    missing = [item for item in INSTANCE_ATTRIBUTES[name] if not hasattr(instance, item)]
    assert missing == []


@pytest.mark.parametrize("name", ["Channel", "Group"])
def test_channels_and_groups_are_plain_objects(name: str) -> None:
    instance = instances()[name]
    instance.colour = "red"
    twin = copy.copy(instance)
    assert (str(twin), twin.name, twin.colour) == ("chat", "chat", "red")


def test_patterns_of_routes_and_includes_can_be_read() -> None:
    made = instances()
    assert made["Route"].channels == ["chat"]
    assert made["Route"].filters["path"].pattern == "^/a"
    assert made["Include"].prefixes["path"].pattern == "^/b"


def test_the_match_of_a_router_can_be_replaced() -> None:
    from channels.routing import null_consumer

    made = instances()
    router, message = made["Router"], made["Message"]
    assert router.match(message) is None
    router.root.match = lambda message: (null_consumer, {"traced": True})
    assert router.match(message) == (null_consumer, {"traced": True})


@pytest.mark.parametrize("owner", ["InMemoryChannelLayer", "ChannelLayerWrapper"])
def test_layers_carry_their_exceptions(owner: str) -> None:
    from channels.exceptions import ChannelFull, MessageTooLarge

    layer = instances()[owner]
    assert layer.ChannelFull is ChannelFull
    assert layer.MessageTooLarge is MessageTooLarge


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("runserver", ["--noworker", "--noasgi", "--http_timeout=1", "--nothreading",
                       "--websocket_handshake_timeout=1", "--noreload", "--ipv6"]),
        ("runworker", ["--layer=default", "--only-channels=a.*", "--only-channels=b",
                       "--exclude-channels=c", "--exclude-channels=d", "--threads=2"]),
        ("rundelay", ["--layer=default", "--sleep=1"]),
    ],
)  # fmt: skip
def test_a_command_takes_its_flags(command: str, options: list[str]) -> None:
    parser = load_command_class(get_commands()[command], command).create_parser("x", command)
    parsed = vars(parser.parse_args(options))
    if command == "runworker":
        assert parsed["only_channels"] == ["a.*", "b"]
        assert parsed["exclude_channels"] == ["c", "d"]
    if command == "runserver":
        assert not parsed["run_worker"]
        assert not parsed["use_asgi"]


def test_models_modules_can_import_everything_before_the_apps_are_ready() -> None:
    """1.x projects defined bindings, and sent to groups, in their ``models.py``."""
    modules = [
        name for name in PUBLIC
        if not name.startswith(("channels.delay", "channels.management", "channels.test"))
    ]  # fmt: skip
    code = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)"
    environment = {key: value for key, value in os.environ.items() if not key.startswith("DJANGO")}
    subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *modules],
        env={**environment, "PYTHONPATH": str(ROOT)},
        check=True,
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names of the files in a wheel that is built of the working tree."""
    directory = tmp_path_factory.mktemp("wheel")
    source = directory / "source"
    source.mkdir()
    # A link to the package, so that nothing is written beside it.
    for name in ("channels", "setup.py", "pyproject.toml", "README.rst", "MANIFEST.in", "LICENSE"):
        (source / name).symlink_to(ROOT / name)
    build = (
        "import sys; from setuptools import build_meta; print(build_meta.build_wheel(sys.argv[1]))"
    )
    run = subprocess.run(
        [sys.executable, "-c", build, str(directory)],
        cwd=source,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    with zipfile.ZipFile(directory / run.stdout.split()[-1]) as archive:
        return set(archive.namelist())


@pytest.mark.parametrize("path", DATA_FILES)
def test_a_wheel_has_the_data_files(wheel: set[str], path: str) -> None:
    assert path in wheel


def test_a_wheel_has_the_whole_package_and_nothing_else(wheel: set[str]) -> None:
    expected = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "channels").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in wheel if ".dist-info/" not in name} == expected
