"""A look at the whole layer: what it holds, and emptying it."""

from __future__ import annotations

from typing import Any

from .commands import Command
from .driver import Request, Steps, ask
from .shards import Shards


class Overview:
    """Says what is to be said about all shards; raises ``ChannelLayerUnavailable``."""

    def __init__(self, shards: Shards, expiry: float) -> None:
        """``expiry``: seconds that messages live."""
        self._shards = shards
        self._expiry = expiry

    def flush(self) -> Steps[None]:
        """Remove all keys of the layer, some at a time, so that Redis serves others as well."""
        for number in range(len(self._shards)):
            commands = self._shards[number].commands
            yield from ask(number, commands.mark_flush())
            for prefix in (commands.prefix, commands.stats_prefix):
                cursor = b"0"
                while True:
                    cursor, keys = yield from ask(number, commands.scan(prefix, cursor))
                    if keys := [key for key in keys if not commands.is_flush_mark(key)]:
                        yield from ask(number, Command("UNLINK", *keys))
                    if cursor == b"0":
                        break

    def global_statistics(self) -> Steps[dict[str, int]]:
        answers = yield [
            Request(number, self._shards[number].commands.global_statistics())
            for number in range(len(self._shards))
        ]
        _raise_failures(answers)
        sent, refused = _sums(answers)
        return {"messages_count": sent, "channel_full_count": refused}

    def channel_statistics(self, channel: str) -> Steps[dict[str, float]]:
        answers = yield [
            Request(number, self._shards[number].commands.statistics(channel))
            for number in range(len(self._shards))
        ]
        _raise_failures(answers)
        sent, refused, pending = _sums([answer[:3] for answer in answers])
        left = [float(answer[3]) / 1000 for answer in answers if answer[3]]
        return {
            "messages_count": sent,
            "messages_pending": pending,
            "messages_max_age": max(self._expiry - min(left), 0) if left else 0,
            "channel_full_count": refused,
        }


def _raise_failures(answers: list[Any]) -> None:
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer


def _sums(answers: list[Any]) -> list[int]:
    return [sum(int(number or 0) for number in numbers) for numbers in zip(*answers, strict=True)]
