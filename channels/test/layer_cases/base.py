"""What all parts of the conformance suite use."""

from __future__ import annotations

import functools
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

#: The share of the short expiry that a test may take in addition to what it waits for.
LEEWAY = 0.4

#: How much longer the short expiry is made where that was not enough.
LONGER = 4


class LayerCase(Base):
    """How a layer is made, and small helpers."""

    #: Seconds for tests in which something expires; where that is too short for the machine or
    #: the way to the layer, they take longer ones.
    short_expiry = 0.2

    #: Seconds that the test has asked to wait so far.
    _waited = 0.0

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
        self._waited += self.short_expiry * share
        time.sleep(self.short_expiry * share)

    @contextmanager
    def refuses(self, *words: str, error: Any = TypeError) -> Iterator[None]:
        """The block raises ``error``, with ``words`` in its text."""
        with self.assertRaises(error) as context:  # noqa: PT027 - unittest runs this too
            yield
        for word in words:
            assert word in str(context.exception), f"{word!r} is not in: {context.exception}"


def in_time(test: Callable[[Any], None]) -> Callable[[Any], None]:
    """A test in which something must not expire before the test looks at it.

    That it has expired is a failure only if the test was quick: if its own steps took more than
    ``LEEWAY`` of the short expiry, this was too short to tell, and a longer one is taken.
    """

    @functools.wraps(test)
    def run(self: Any) -> None:
        while True:
            start, self._waited = time.monotonic(), 0.0
            try:
                return test(self)
            except Exception:
                own = time.monotonic() - start - self._waited
                if own <= LEEWAY * self.short_expiry or self.short_expiry > PATIENCE:
                    raise
            self.short_expiry *= LONGER

    return run


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
