"""What the tests of sessions share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from django.conf import settings

from channels import channel_layers
from channels.asgi import ChannelLayerWrapper
from channels.message import Message
from channels.sessions import session_for_reply_channel
from channels.worker import Worker

REPLY_CHANNEL = "websocket.send.process!socket"


def socket_message(channel: str = "websocket.receive", **content: Any) -> Message:
    """A message of the one socket of these tests, as a worker would receive it."""
    return Message({"reply_channel": REPLY_CHANNEL, **content}, channel, channel_layers["default"])


def stored(name: str = REPLY_CHANNEL) -> dict[str, Any]:
    """What the row of a channel session holds."""
    return session_for_reply_channel(name).load()


def row_exists(name: str = REPLY_CHANNEL) -> bool:
    session = session_for_reply_channel(name)
    session.load()
    return session.stored


def http_store(key: str | None = None) -> Any:
    """A session of the HTTP side."""
    return import_module(settings.SESSION_ENGINE).SessionStore(key)


def new_http_session(**data: Any) -> Any:
    session = http_store()
    session.update(data)
    session.create()
    session.update(data)
    session.save()
    return session


def cookie(key: str) -> list[list[bytes]]:
    """Headers that bring the session with that key."""
    return [[b"cookie", f"{settings.SESSION_COOKIE_NAME}={key}".encode()]]


def drain(channel: str) -> list[dict[str, Any]]:
    """Everything that waits on ``channel``."""
    contents = []
    while (content := channel_layers["default"].receive([channel])[1]) is not None:
        contents.append(content)
    return contents


@contextmanager
def workers(layer: ChannelLayerWrapper, number: int) -> Iterator[None]:
    """That many worker threads serve ``layer``."""
    running = [Worker(layer, signal_handlers=False) for _ in range(number)]
    threads = [threading.Thread(target=worker.run) for worker in running]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for worker in running:
            worker.termed = True
        for thread in threads:
            thread.join()


def at_once(*functions: Callable[[], object]) -> list[BaseException | None]:
    """Run all functions at the same moment in threads; what each of them raised, or ``None``."""
    barrier = threading.Barrier(len(functions))
    errors: list[BaseException | None] = [None] * len(functions)

    def run(index: int, function: Callable[[], object]) -> None:
        barrier.wait()
        try:
            function()
        except BaseException as error:
            errors[index] = error

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(functions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors
