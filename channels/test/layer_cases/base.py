"""What all parts of the conformance suite use."""

from __future__ import annotations

import threading
import time
import unittest
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    Base = unittest.TestCase
else:
    #: What is used of ``unittest.TestCase`` comes from the class that mixes the suite in.
    Base = object

#: Seconds after which something that should happen at once counts as failed.
PATIENCE = 10.0


class LayerCase(Base):
    """How a layer is made, and small helpers."""

    #: Seconds for tests in which something expires; raise it for a layer far away.
    short_expiry = 0.4

    def make_layer(self, **config: Any) -> Any:
        """A layer that is empty, with the given ``expiry``, ``group_expiry``, ``capacity``,
        ``channel_capacity`` and ``max_message_size``, or the layer's own ones."""
        raise NotImplementedError

    def new_layer(self, *needed: str, **config: Any) -> Any:
        """A layer that is closed after the test, if it has the ``needed`` extensions."""
        layer = self.make_layer(**config)
        if close := getattr(layer, "close", None):
            self.addCleanup(close)
        for extension in needed:
            if extension not in layer.extensions:
                self.skipTest(f"this layer has no extension {extension!r}")
        return layer

    def let_expire(self, share: float = 1.1) -> None:
        """Wait for a share of the short expiry."""
        time.sleep(self.short_expiry * share)

    @contextmanager
    def refuses(self, *words: str, error: Any = TypeError) -> Iterator[None]:
        """The block raises ``error``, with ``words`` in its text."""
        with self.assertRaises(error) as context:  # noqa: PT027 - unittest runs this too
            yield
        for word in words:
            assert word in str(context.exception), f"{word!r} is not in: {context.exception}"


class InThread(threading.Thread):
    """Calls something in a thread, at once; ``outcome()`` waits for what it returns."""

    def __init__(self, call: Callable[..., Any], *arguments: Any) -> None:
        super().__init__(daemon=True)
        self._call, self._arguments = call, arguments
        self._outcome: Any = None
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self._outcome = self._call(*self._arguments)
        except BaseException as error:
            self._error = error

    def outcome(self) -> Any:
        self.join(PATIENCE)
        assert not self.is_alive(), "the thread does not end"
        if self._error:
            raise self._error
        return self._outcome


def receive_soon(layer: Any, channels: Iterable[str]) -> Any:
    """What a blocking receive gives that is repeated until there is something."""
    names = list(channels)
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        channel, message = layer.receive(names, block=True)
        if channel is not None:
            return channel, message
    raise AssertionError(f"no message came on {names}")


async def receive_soon_async(layer: Any, channels: Iterable[str]) -> Any:
    """The same with ``receive_async``."""
    names = list(channels)
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        channel, message = await layer.receive_async(names)
        if channel is not None:
            return channel, message
    raise AssertionError(f"no message came on {names}")


def drain(layer: Any, *channels: str) -> list[tuple[str, Any]]:
    """Everything that waits on ``channels``."""
    found: list[tuple[str, Any]] = []
    while True:
        channel, message = layer.receive(list(channels))
        if channel is None:
            return found
        found.append((channel, message))


def numbers(layer: Any, *channels: str) -> list[int]:
    """The ``n`` of every message that waits on ``channels``."""
    return [message["n"] for _, message in drain(layer, *channels)]
