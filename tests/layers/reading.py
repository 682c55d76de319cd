"""Processes that receive all the time while a test does something, and what it waits for."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from types import TracebackType
from typing import Any

from channels.exceptions import ChannelLayerUnavailable
from channels.test.layer_cases.base import InThread

from ..redis_server import wait_until


class Reader:
    """A thread that receives for ``names``, as a context manager.

    With ``in_loop`` it does so in an event loop, in batches. ``found`` are the channels and the
    ``n`` of what it got, in its order; two readers may share it.
    """

    def __init__(self, layer: Any, *names: str, in_loop: bool = False) -> None:
        self.found: list[tuple[str, int]] = []
        self.layer = layer
        self.names = names
        self._in_loop = in_loop
        self._turn = threading.Lock()
        self._ends = threading.Event()
        layer._receiver._block_seconds = 0.05

    def __enter__(self) -> Reader:
        run = self._run_in_loop if self._in_loop else self._run
        self._thread = InThread(run)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ends.set()
        self._thread.outcome()

    def hang(self) -> threading.Lock:
        """What to hold to keep it from receiving: a context manager."""
        return self._turn

    def numbers(self, channel: str) -> list[int]:
        """What arrived on ``channel``."""
        return [n for name, n in list(self.found) if name == channel]

    def wait_for(self, n: int, *channels: str) -> None:
        """Wait until the message ``n`` has arrived on all ``channels``."""
        wait_until(
            lambda: {(channel, n) for channel in channels} <= set(self.found),
            f"message {n} has arrived on {channels}: {self.found}",
        )

    def _run(self) -> None:
        while not self._ends.is_set():
            with self._turn:
                channel, message = self.layer.receive(self.names, block=True)
            if channel is not None:
                self.found.append((channel, message["n"]))

    def _run_in_loop(self) -> None:
        asyncio.run(self._read_batches())

    async def _read_batches(self) -> None:
        while not self._ends.is_set():
            with self._turn:
                batch = await self.layer.receive_batch_async(self.names)
            for channels, message in batch:
                self.found += [(channel, message["n"]) for channel in channels]


def wait_for_members(layer: Any, group: str, *members: str) -> None:
    """Wait until a group has these members; Redis may be away meanwhile."""

    def has_them() -> bool:
        with suppress(ChannelLayerUnavailable):
            return sorted(layer.group_channels(group)) == sorted(members)
        return False

    wait_until(has_them, f"{group} has the members {members}")
