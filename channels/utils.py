"""Small helpers that need nothing else."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
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


def most_derived(layer: Any, names: Sequence[str]) -> str | None:
    """The first of ``names`` in the most derived class of ``layer`` that has any of them.

    So a subclass that changes one of several ways to do the same is honoured. Attributes of the
    instance count as more derived than its classes, a wrapper or proxy as more derived than the
    layer behind it. A class that only states the contract (``is_contract``) does not count;
    ``None`` when there is nothing else.
    """
    for owner in (layer, *type(layer).__mro__):
        own = getattr(owner, "__dict__", {})
        for name in names:
            if name in own and "is_contract" not in own:
                return name
    behind = _object_behind(layer, names)
    if behind is not None:
        return most_derived(behind, names)
    return next((name for name in names if _is_passed_on(layer, name)), None)


def _object_behind(proxy: Any, names: Sequence[str]) -> Any:
    """The layer in a wrapper, or the object whose methods the ``names`` of another proxy are."""
    wrapped = getattr(proxy, "__dict__", {}).get("channel_layer")
    if wrapped is not None:
        return wrapped
    methods = {name: getattr(proxy, name) for name in names if _is_passed_on(proxy, name)}
    for method in methods.values():
        # It may itself be a proxy, some of whose methods are bound to an object further behind.
        candidate = getattr(method, "__self__", None)
        if all(getattr(candidate, name, None) == found for name, found in methods.items()):
            return candidate
    return None


def _is_passed_on(proxy: Any, name: str) -> bool:
    return hasattr(proxy, name) and not hasattr(type(proxy), name)


def receive_method(layer: Any) -> Any:
    """The method of ``layer`` to receive with: ``receive``, or its old name ``receive_many``.

    The one that the most derived class has is meant.
    """
    return getattr(layer, most_derived(layer, ["receive", "receive_many"]) or "receive")


def receive_waiting(layer: Any, channels: Iterable[str]) -> Received:
    """Receive from ``layer``, waiting for a message as long as the layer does.

    Returns ``(channel, message)``, or ``(None, None)`` after a little while at the earliest.
    """
    started = time.monotonic()
    received: Received = receive_method(layer)(channels, block=True)
    if received[0] is None and time.monotonic() - started < IDLE_PAUSE:
        time.sleep(IDLE_PAUSE)
    return received
