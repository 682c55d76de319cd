"""Every read of ``django.conf.settings``, with the defaults."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from .exceptions import InvalidChannelLayerError

#: What an empty ALLOWED_HOSTS means while DEBUG is on: the same as in Django.
LOCAL_HOSTS = [".localhost", "127.0.0.1", "[::1]"]

#: Bytes of a request body: more than any form or upload of a usual site, and a bound all the
#: same on what one client may push through the channel layer.
MAX_BODY_SIZE = 1024**3

#: Bytes of a WebSocket frame: the message size that every layer carries.
MAX_FRAME_SIZE = 1024**2


def channel_layers() -> dict[str, dict[str, Any]]:
    """``CHANNEL_LAYERS``: the configuration of each layer, by alias.

    Raises ``InvalidChannelLayerError`` when it is no dict.
    """
    layers: dict[str, dict[str, Any]] = getattr(settings, "CHANNEL_LAYERS", {})
    if not isinstance(layers, dict):
        raise InvalidChannelLayerError(
            "CHANNEL_LAYERS must be a dict from aliases to layers, such as {'default': {...}}, "
            f"not {layers!r}."
        )
    return layers


def allowed_hosts() -> list[str]:
    """``ALLOWED_HOSTS``; empty with DEBUG, it means this machine."""
    hosts = list(settings.ALLOWED_HOSTS)
    return LOCAL_HOSTS[:] if settings.DEBUG and not hosts else hosts


def allowed_origins() -> list[str] | None:
    """``CHANNELS_ALLOWED_ORIGINS``, or ``None`` when the setting is absent."""
    return _list_of_text("CHANNELS_ALLOWED_ORIGINS")


def ws_protocols() -> list[str]:
    """``CHANNELS_WS_PROTOCOLS``: subprotocols to choose by default, the preferred one first."""
    return _list_of_text("CHANNELS_WS_PROTOCOLS") or []


def channel_session_engine() -> tuple[str, str]:
    """The engine of channel sessions: the name of the setting that decides, and its value."""
    setting = "CHANNEL_SESSION_ENGINE"
    if not getattr(settings, setting, None):
        setting = "SESSION_ENGINE"
    return setting, getattr(settings, setting)


def _list_of_text(name: str) -> list[str] | None:
    value: Iterable[str] | None = getattr(settings, name, None)
    if value is None:
        return None
    if isinstance(value, str):
        raise ImproperlyConfigured(f"{name} must be a list, not a string: write [{value!r}].")
    return list(value)
