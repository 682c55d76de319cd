from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from channels import channel_layers
from channels.asgi import ChannelLayerWrapper
from channels.layers import InMemoryChannelLayer
from channels.worker import WorkerGroup

MakeLayer = Callable[..., ChannelLayerWrapper]


@pytest.fixture(autouse=True)
def _connections_may_be_looked_at(django_db_blocker: Any) -> Iterator[None]:
    """Around every consumer the worker looks at the connections that an earlier test opened."""
    with django_db_blocker.unblock():
        yield


@pytest.fixture
def make_layer() -> Iterator[MakeLayer]:
    """Makes a fresh in-memory layer the default one: ``make_layer(routing, **keywords)``.

    ``kind`` may be another class of layer.
    """

    def make(routing: Any = (), kind: Any = InMemoryChannelLayer, **keywords: Any) -> Any:
        wrapper = ChannelLayerWrapper(kind(**keywords), "default", routing)
        channel_layers.set("default", wrapper)
        return wrapper

    yield make
    channel_layers.set("default", None)


@pytest.fixture
def layer(make_layer: MakeLayer) -> ChannelLayerWrapper:
    """A fresh default layer with no routes."""
    return make_layer()


@pytest.fixture
def start_group() -> Iterator[Callable[..., tuple[WorkerGroup, threading.Thread]]]:
    """Starts a worker group in a thread, and stops it after the test, whatever happened."""
    started = []

    def start(layer: Any, **arguments: Any) -> tuple[WorkerGroup, threading.Thread]:
        group = WorkerGroup(layer, signal_handlers=False, **arguments)
        runner = threading.Thread(target=group.run)
        started.append((group, runner))
        runner.start()
        return group, runner

    yield start
    for group, runner in started:
        group.termed = True
        runner.join(10)


@pytest.fixture
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Full channels are given up after a moment instead of seconds."""
    monkeypatch.setattr("channels.pending.RETRY_TIME", 0.05)
    monkeypatch.setattr("channels.pending.RETRY_PAUSE", 0.01)
    monkeypatch.setattr("channels.worker.ERROR_PAUSE", 0.01)
    monkeypatch.setattr("channels.replies.RETRY_TIME", 0.05)


@pytest.fixture
def unchanged_logger() -> Iterator[logging.Logger]:
    """The logger of the library, as it was before, afterwards."""
    logger = logging.getLogger("django.channels")
    before = logger.level, logger.handlers[:], logger.propagate
    yield logger
    logger.level, logger.handlers, logger.propagate = before
    logger.manager._clear_cache()  # type: ignore[attr-defined]
