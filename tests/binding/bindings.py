"""What the tests of bindings share."""
# ruff: noqa: RUF012 - consumers are written as projects write them

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from channels import Group
from channels.binding.websockets import WebsocketBinding
from channels.generic.websockets import WebsocketDemultiplexer
from tests.generic.sockets import Socket


class ToAll(WebsocketBinding):
    """Tells the group "all", and lets everybody change everything that is listed."""

    model: Any = None
    stream = "things"
    channel_session_user = False

    @classmethod
    def group_names(cls, instance: Any) -> Iterable[str]:
        return ["all"]

    def has_permission(self, user: Any, action: str, pk: Any) -> bool:
        return True


def bind(model: Any, base: type[WebsocketBinding] = ToAll, **attributes: Any) -> Any:
    """A binding for ``model``, made at run time."""
    return type("MadeBinding", (base,), {"model": model, **attributes})


def listener(layer: Any, *groups: str, name: str = "one") -> Socket:
    """A socket in ``groups``."""
    socket = Socket(layer, None, name)
    for group in groups or ["all"]:
        Group(group).add(socket.channel)
    return socket


def told(socket: Socket) -> list[Any]:
    """The payloads that came to a socket."""
    return [frame["payload"] for frame in socket.frames()]


def actions(socket: Socket) -> list[str]:
    return [payload["action"] for payload in told(socket)]


def client(layer: Any, binding: Any, **streams: Any) -> Socket:
    """A socket whose frames of the stream "things" reach ``binding``."""

    class Demultiplexer(WebsocketDemultiplexer):
        consumers = {"things": binding.consumer, **streams}

    return Socket(layer, Demultiplexer, "client")
