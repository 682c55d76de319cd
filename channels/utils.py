"""Small helpers that need nothing else."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from .types import Received

#: Seconds to rest after a receive that gave nothing and did not wait either, as a layer may do:
#: whoever waits for a message must not use a core.
IDLE_PAUSE = 0.05


def name_that_thing(thing: object) -> str:
    """A name for ``thing`` (a consumer, a class, a module's function) to show to people."""
    if not (hasattr(thing, "__qualname__") and hasattr(thing, "__module__")):
        thing = type(thing)
    return f"{thing.__module__}.{thing.__qualname__}"


def import_configured(path: str, what: str) -> Any:
    """Import the object at the dotted ``path``; ``what`` says what it is for.

    Raises ``ImproperlyConfigured``, naming both, whatever goes wrong while importing.
    """
    try:
        return import_string(path)
    except Exception as error:
        raise ImproperlyConfigured(
            f"Cannot import the {what} {path!r}: {type(error).__name__}: {error}"
        ) from error


def as_text(value: str | bytes) -> str:
    """``value`` as text; bytes that are not UTF-8 become replacement characters."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def receive_method(layer: Any) -> Any:
    """The method of ``layer`` to receive with: ``receive``, or its old name ``receive_many``.

    The one that the most specific class overrides is meant.
    """
    layer = getattr(layer, "channel_layer", layer)
    for owner in type(layer).__mro__:
        if "receive" in vars(owner):
            return layer.receive
        if "receive_many" in vars(owner):
            return layer.receive_many
    return getattr(layer, "receive", None) or layer.receive_many


def receive_waiting(layer: Any, channels: Iterable[str]) -> Received:
    """Receive from ``layer``, waiting for a message as long as the layer does.

    Returns ``(channel, message)``, or ``(None, None)`` after a little while at the earliest.
    """
    started = time.monotonic()
    received: Received = receive_method(layer)(channels, block=True)
    if received[0] is None and time.monotonic() - started < IDLE_PAUSE:
        time.sleep(IDLE_PAUSE)
    return received
