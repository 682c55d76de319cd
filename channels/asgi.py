"""The channel layers that the settings name, and the interface server in front of them."""

from __future__ import annotations

import logging
import threading
import warnings
import weakref
from collections.abc import Sequence
from typing import Any

import django
from django.core.signals import setting_changed
from django.utils.functional import cached_property
from django.utils.module_loading import import_string

from . import conf
from .exceptions import ChannelLayerUnavailable, InvalidChannelLayerError
from .routing import Router, Routing
from .types import Layer
from .utils import import_configured

__all__ = [
    "DEFAULT_CHANNEL_LAYER",
    "ChannelLayerManager",
    "ChannelLayerWrapper",
    "InvalidChannelLayerError",
    "channel_layers",
    "get_asgi_application",
    "get_channel_layer",
]

logger = logging.getLogger("django.channels")

DEFAULT_CHANNEL_LAYER = "default"

#: Where the layers of old settings live now.
OLD_BACKENDS = {
    "asgiref.inmemory.ChannelLayer": "channels.layers.InMemoryChannelLayer",
    "asgi_redis.RedisChannelLayer": "channels.layers.redis.RedisChannelLayer",
    "asgi_redis.core.RedisChannelLayer": "channels.layers.redis.RedisChannelLayer",
    "asgi_redis.RedisSentinelChannelLayer": "channels.layers.redis.RedisSentinelChannelLayer",
}


class ChannelLayerWrapper:
    """A channel layer with its alias and its routing; all else is the layer's.

    Arguments: the layer, the alias it has in the settings, and its routing (a list, a dict, or
    the dotted path of either).
    """

    def __init__(self, channel_layer: Any, alias: str, routing: Routing) -> None:
        self.channel_layer = channel_layer
        self.alias = alias
        self.routing = routing

    @cached_property
    def router(self) -> Router:
        """The router over the routing, which is imported when it is first needed.

        Raises ``ImproperlyConfigured`` for a routing that cannot be imported.
        """
        return Router(self.routing)

    def local_only(self) -> bool:
        """Whether the messages of this layer stay within this process."""
        return bool(getattr(self.channel_layer, "local_only", False))

    def __getattr__(self, name: str) -> Any:
        if name == "channel_layer":
            raise AttributeError(name)
        return getattr(self.channel_layer, name)

    def __str__(self) -> str:
        layer = type(self.channel_layer)
        return f"{self.alias} ({layer.__module__}.{layer.__qualname__})"

    def __repr__(self) -> str:
        return f"<ChannelLayerWrapper {self}>"


class ChannelLayerManager:
    """The wrappers of all layers that ``CHANNEL_LAYERS`` configures, each made on first use."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._configured: dict[str, ChannelLayerWrapper] = {}
        self._placed: dict[str, ChannelLayerWrapper] = {}
        # Those that may go back under their alias without being pinned there.
        self._from_settings: weakref.WeakSet[ChannelLayerWrapper] = weakref.WeakSet()
        setting_changed.connect(self._forget_configured)

    @property
    def configs(self) -> dict[str, dict[str, Any]]:
        """The ``CHANNEL_LAYERS`` setting."""
        return conf.channel_layers()

    def __getitem__(self, alias: str) -> ChannelLayerWrapper:
        with self._lock:
            if alias in self._placed:
                return self._placed[alias]
            if alias not in self._configured:
                self._configured[alias] = wrapper = self.make_backend(alias)
                self._from_settings.add(wrapper)
            return self._configured[alias]

    def __contains__(self, alias: object) -> bool:
        return alias in self._placed or alias in self.configs

    def set(self, alias: str, layer: ChannelLayerWrapper | None) -> ChannelLayerWrapper | None:
        """Put ``layer`` under ``alias``, whatever the settings say; ``None`` goes back to them.

        So does a wrapper that was made from them. Returns what was there, ``None`` when nothing
        had been made yet.
        """
        with self._lock:
            old = self._placed.pop(alias, None) or self._configured.pop(alias, None)
            if layer is not None and layer in self._from_settings:
                self._configured[alias] = layer
            elif layer is not None:
                self._placed[alias] = layer
            return old

    def make_backend(self, alias: str) -> ChannelLayerWrapper:
        """A new layer from the ``CONFIG`` of ``alias``, in a wrapper.

        Raises ``KeyError`` for an alias that is not configured, and
        ``InvalidChannelLayerError`` for a configuration that cannot be used.
        """
        return self._make(alias, "CONFIG")

    def make_test_backend(self, alias: str) -> ChannelLayerWrapper:
        """The same from ``TEST_CONFIG``, which must be there."""
        if "TEST_CONFIG" not in self._config(alias):
            raise InvalidChannelLayerError(
                f"CHANNEL_LAYERS[{alias!r}] has no TEST_CONFIG: add one, whose keywords keep the "
                "layer of the tests apart from the real one (another database or prefix)."
            )
        return self._make(alias, "TEST_CONFIG")

    def unknown(self, alias: str) -> KeyError:
        """The error for an ``alias`` that is not configured."""
        return KeyError(
            f"There is no channel layer {alias!r}: CHANNEL_LAYERS has "
            f"{sorted(self.configs) or 'no entries'}."
        )

    def _config(self, alias: str) -> dict[str, Any]:
        try:
            config = self.configs[alias]
        except KeyError:
            raise self.unknown(alias) from None
        if not isinstance(config, dict):
            raise InvalidChannelLayerError(
                f"CHANNEL_LAYERS[{alias!r}] must be a dict with BACKEND, CONFIG and ROUTING, not "
                f"{config!r}."
            )
        return config

    def _make(self, alias: str, key: str) -> ChannelLayerWrapper:
        config = self._config(alias)
        backend = _import_backend(alias, config)
        if "ROUTING" not in config:
            raise InvalidChannelLayerError(
                f"CHANNEL_LAYERS[{alias!r}] has no ROUTING: set it to the dotted path of the "
                "project's list of routes, such as 'mysite.routing.channel_routing'."
            )
        try:
            layer = backend(**config.get(key, {}))
        except ChannelLayerUnavailable as error:
            raise InvalidChannelLayerError(
                f"CHANNEL_LAYERS[{alias!r}] cannot be made now: {error}"
            ) from error
        except (TypeError, ValueError) as error:
            raise InvalidChannelLayerError(
                f"CHANNEL_LAYERS[{alias!r}] has a {key} that {config['BACKEND']} does not take: "
                f"{error}"
            ) from error
        return ChannelLayerWrapper(layer, alias, config["ROUTING"])

    def _forget_configured(self, *, setting: str, **kwargs: Any) -> None:
        if setting == "CHANNEL_LAYERS":
            with self._lock:
                self._configured.clear()
                self._from_settings.clear()


def _import_backend(alias: str, config: dict[str, Any]) -> Any:
    try:
        path = config["BACKEND"]
    except KeyError:
        raise InvalidChannelLayerError(
            f"CHANNEL_LAYERS[{alias!r}] has no BACKEND: set it to the dotted path of a layer, "
            "such as 'channels.layers.InMemoryChannelLayer'."
        ) from None
    if not isinstance(path, str):
        raise InvalidChannelLayerError(
            f"CHANNEL_LAYERS[{alias!r}] has the BACKEND {path!r}: it must be the dotted path of a "
            "layer, such as 'channels.layers.InMemoryChannelLayer'."
        )
    if path in OLD_BACKENDS:
        warnings.warn(
            f"CHANNEL_LAYERS[{alias!r}]: the BACKEND {path!r} is now {OLD_BACKENDS[path]!r}.",
            DeprecationWarning,
            stacklevel=2,
        )
        path = OLD_BACKENDS[path]
    try:
        return import_string(path)
    except ImportError as error:
        raise InvalidChannelLayerError(
            f"CHANNEL_LAYERS[{alias!r}] has the BACKEND {path!r}, which cannot be imported "
            f"({error}): check its spelling and that its package is installed."
        ) from error


channel_layers = ChannelLayerManager()


def get_channel_layer(alias: str = DEFAULT_CHANNEL_LAYER) -> Layer:
    """Set Django up and return the layer itself, without wrapper and routing.

    Raises ``KeyError`` or ``InvalidChannelLayerError`` as ``channel_layers`` does.
    """
    django.setup(set_prefix=False)
    layer: Layer = channel_layers[alias].channel_layer
    return layer


def get_asgi_application(
    alias: str = DEFAULT_CHANNEL_LAYER,
    http: Any = None,
    http_timeout: float = 60,
    websocket_handshake_timeout: float = 5,
    websocket_timeout: float | None = None,
    ws_protocols: Sequence[str] | None = None,
    max_body_size: int = conf.MAX_BODY_SIZE,
    max_frame_size: int = conf.MAX_FRAME_SIZE,
) -> Any:
    """The interface server as an ASGI 3 application, for a project's ``asgi.py``.

    Sets Django up (settings, logging, apps), but imports no routing. Arguments:

    ``alias``
        The channel layer to use.
    ``http``
        An ASGI application that takes HTTP requests instead of the channel layer.
    ``http_timeout``
        Seconds until a request that nobody answers gets 503; 0 for never.
    ``websocket_handshake_timeout``
        Seconds until a socket that nobody accepts is refused; 0 for never.
    ``websocket_timeout``
        Seconds after which a socket is closed; ``None`` for the layer's ``group_expiry``, 0 for
        never.
    ``ws_protocols``
        Subprotocols to accept, best first; ``None`` for ``CHANNELS_WS_PROTOCOLS``.
    ``max_body_size``
        Bytes of a request body; more gets 413.
    ``max_frame_size``
        Bytes of a WebSocket frame; more closes the socket with 1009.

    Raises ``KeyError`` or ``InvalidChannelLayerError`` for a layer that cannot be used.
    """
    application = import_configured(
        "channels.interface.application.InterfaceApplication", "interface server"
    )
    layer = get_channel_layer(alias)
    if channel_layers[alias].local_only():
        logger.warning(
            "The channel layer %s is seen by this process only: no runworker can answer what "
            "comes in here. Use a layer such as channels.layers.redis.RedisChannelLayer.",
            channel_layers[alias],
        )
    return application(
        layer,
        http=http,
        http_timeout=http_timeout,
        websocket_handshake_timeout=websocket_handshake_timeout,
        websocket_timeout=websocket_timeout,
        ws_protocols=ws_protocols,
        max_body_size=max_body_size,
        max_frame_size=max_frame_size,
    )
