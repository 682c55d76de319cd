"""How a decorator for consumers is made, be they functions or methods."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

from .message import Message

AnyConsumer = TypeVar("AnyConsumer", bound=Callable[..., Any])

#: ``around(message, run)`` does its part before and after it calls ``run()``, which runs the
#: consumer and returns its result; it may also leave the consumer out.
Around = Callable[[Message, Callable[[], Any]], Any]

#: The names of the decorators that this process has put around any consumer.
applied: set[str] = set()


def consumer_decorator(name: str, around: Around) -> Callable[[AnyConsumer], AnyConsumer]:
    """A decorator called ``name`` that runs consumers within ``around``.

    What it decorates may be a function or a method: the message is looked for among the first
    two positional arguments, and ``ValueError`` is raised when it is not there.
    """

    def decorator(consumer: AnyConsumer) -> AnyConsumer:
        applied.add(name)

        @functools.wraps(consumer)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            message = find_message(args, name)
            return around(message, functools.partial(consumer, *args, **kwargs))

        return cast(AnyConsumer, wrapper)

    return decorator


def find_message(args: tuple[Any, ...], caller: str) -> Message:
    """The message among the first two of ``args``; else a ``ValueError`` that names ``caller``."""
    for argument in args[:2]:
        if isinstance(argument, Message):
            return argument
    raise ValueError(f"{caller} called without Message instance")
