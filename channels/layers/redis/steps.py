"""What is to be said to the shards, as generators without I/O.

What steps yield is said to Redis, by a ``Driver`` for threads or a ``LoopDriver`` for an event
loop, and what they get back are the answers.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, NamedTuple, TypeVar

from ...exceptions import ChannelLayerUnavailable
from .command import Command
from .commands import batches

#: Commands that are said in one write, where there are very many.
COMMANDS_AT_ONCE = 200

Result = TypeVar("Result")


class Request(NamedTuple):
    """A command for the shard with this number."""

    shard: int
    command: Command


class Race(NamedTuple):
    """Blocking requests, of which the first one that brings something ends the others.

    ``bells`` are what ends each of them early. The answers are those to ``requests``.
    """

    requests: list[Request]
    bells: list[list[Request]]


#: What is to be said: requests in one go, whose answers come as a list, with a
#: ``ChannelLayerUnavailable`` in the place of what failed; or a race.
Steps = Generator[Sequence[Request] | Race, list[Any], Result]


def ask(shard: int, command: Command) -> Steps[Any]:
    """The answer to one command; raises ``ChannelLayerUnavailable``."""
    [answer] = yield [Request(shard, command)]
    if isinstance(answer, ChannelLayerUnavailable):
        raise answer
    return answer


def all_of(requests: Sequence[Request]) -> Steps[list[Any]]:
    """The answers to all requests, some at a time; raises the first failure."""
    answers: list[Any] = []
    for part in batches(requests, COMMANDS_AT_ONCE):
        answers += yield part
        for answer in answers[-len(part) :]:
            if isinstance(answer, Exception):
                raise answer
    return answers
