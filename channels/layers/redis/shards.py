"""Which shard has what."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Sequence

from .commands import Commands, is_process
from .errands import Location
from .hosts import Host
from .outage import Outage
from .server import Clock


class Shard:
    """A part of the layer that is on one server, with the server's clock as known here."""

    def __init__(self, commands: Commands, location: Location) -> None:
        self.commands = commands
        self.location = location
        self.clock = Clock()
        self._clock_of: Host | None = None
        self.outage = Outage()

    def knows_time(self) -> bool:
        """Whether the clock is that of the server that has the shard now."""
        return self.clock.is_set() and self._clock_of is self.location.host

    def set_time(self, asked_at: float, answer: tuple[bytes, bytes]) -> None:
        """See ``Clock.set``."""
        self.clock.set(asked_at, answer)
        self._clock_of = self.location.host


class Shards:
    """All shards of a layer, in an order that is the same in every process.

    Processes, single-reader channels and groups are each in one shard; the messages of a normal
    channel are spread over all of them.
    """

    def __init__(self, shards: Sequence[Shard]) -> None:
        self._shards = list(shards)
        self._turns = itertools.count()

    def __len__(self) -> int:
        return len(self._shards)

    def __getitem__(self, number: int) -> Shard:
        return self._shards[number]

    def home(self, name: str) -> int:
        """The shard of a group, or of what belongs to one owner.

        All queues of one process, such as "http.response.P!" and "websocket.send.P!", are in one
        shard, so that it waits on one server only.
        """
        if len(self._shards) == 1:
            return 0
        key = name[:-1].rpartition(".")[2] if is_process(name) else name
        return zlib.crc32(key.encode()) % len(self._shards)

    def spreads(self, owner: str) -> bool:
        """Whether the messages for ``owner`` go to all shards."""
        return len(self._shards) > 1 and is_spread(owner)

    def to_send(self, owner: str) -> list[int]:
        """The shards that take messages for ``owner``, in the order to try them."""
        if not self.spreads(owner):
            return [self.home(owner)]
        start = next(self._turns) % len(self._shards)
        return list(itertools.chain(range(start, len(self._shards)), range(start)))

    def to_receive(self, owners: list[str]) -> dict[int, list[str]]:
        """For each shard that has messages for any of ``owners``, which of them."""
        if len(self._shards) == 1:
            return {0: owners}
        found: dict[int, list[str]] = {}
        for owner in owners:
            numbers = range(len(self._shards)) if self.spreads(owner) else [self.home(owner)]
            for number in numbers:
                found.setdefault(number, []).append(owner)
        return found

    def share(self, owner: str, capacity: int, number: int) -> int:
        """How many of the ``capacity`` messages of ``owner`` a shard takes."""
        if not self.spreads(owner):
            return capacity
        quotient, remainder = divmod(capacity, len(self._shards))
        return quotient + (number < remainder)


def is_spread(owner: str) -> bool:
    """Whether ``owner`` is a normal channel, which any reader may read."""
    return not is_process(owner) and "?" not in owner
