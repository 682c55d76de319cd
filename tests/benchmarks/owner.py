"""The side of a layer that owns sockets, without the sockets: what an interface server does."""

from __future__ import annotations

import asyncio
from types import TracebackType

from channels.layers.names import random_name
from channels.layers.redis import RedisChannelLayer


class Owner:
    """A process that reads the replies to its sockets, whenever it is told to.

    ``layer`` must be used by nobody else, as layers of different processes share nothing.
    """

    def __init__(self, layer: RedisChannelLayer) -> None:
        self.layer = layer
        self.process = f"websocket.send.{random_name()}!"
        self.received = 0
        self._marker = f"{self.process}MARKER"
        self._runner = asyncio.Runner()

    def __enter__(self) -> Owner:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._runner.run(self.layer.close_async())
        self._runner.close()

    def socket(self, number: int) -> str:
        """The reply channel of one of its sockets."""
        return f"{self.process}S{number}"

    def drain(self) -> None:
        """Take everything off the queue; as it is ordered, all is there when a marker is."""
        self.layer.send(self._marker, {"text": ""})
        self._runner.run(self._read_up_to_marker())

    async def _read_up_to_marker(self) -> None:
        while True:
            for channels, _ in await self.layer.receive_batch_async([self.process]):
                if self._marker in channels:
                    return
                self.received += len(channels)
