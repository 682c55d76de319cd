"""Requests on their way to the servers that have their shards, which may take several tries."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from redis.exceptions import NoScriptError, RedisError

from ...exceptions import ChannelLayerUnavailable
from .command import Command
from .hosts import Host
from .scripts import RECEIVE
from .server import refused
from .steps import Request

#: Seconds for which a command that had no effect is tried again, where its shard moves between
#: servers just then, and between two tries. Who receives will ask again anyway, and serves the
#: other shards meanwhile.
MOVING_PATIENCE, RECEIVING_PATIENCE = 2.0, 0.25
MOVING_PAUSE = 0.05


class Redirect(NamedTuple):
    """Where a refused command may be taken: to ``host``, else to where the shard is found anew.

    ``asking`` is true when the shard is just being moved to ``host``.
    """

    host: Host | None = None
    asking: bool = False


class Location(Protocol):
    """Which server has a shard."""

    @property
    def host(self) -> Host | None:
        """As far as it is known."""

    def find(self) -> Host:
        """Ask for it, blocking; raises ``ChannelLayerUnavailable``."""

    def lose(self, host: Host) -> bool:
        """Note that ``host`` failed; whether the shard may be found at another one."""

    def redirect(self, error: RedisError, host: Host) -> Redirect | None:
        """Where to take a command that ``host`` refused with ``error``; ``None`` for nowhere."""


class FixedLocation:
    """A shard on a server that is always the same."""

    def __init__(self, host: Host) -> None:
        self.host: Host | None = host
        self._host = host

    def find(self) -> Host:
        return self._host

    def lose(self, host: Host) -> bool:
        return False

    def redirect(self, error: RedisError, host: Host) -> Redirect | None:
        return None


class Errand:
    """A request until it has its answer, which may take several tries."""

    __slots__ = ("answer", "command", "done", "location", "redirect", "tries")

    def __init__(self, location: Location, command: Command) -> None:
        self.location = location
        self.command = command
        self.redirect = Redirect()
        self.tries = 0
        self.done = False
        self.answer: Any = None

    @property
    def host(self) -> Host | None:
        return self.redirect.host or self.location.host

    def finish(self, answer: Any) -> None:
        self.answer, self.done = answer, True


class Errands:
    """Requests on their way to the servers of their shards."""

    def __init__(self, locations: Sequence[Location], requests: Sequence[Request]) -> None:
        self.all = [Errand(locations[shard], command) for shard, command in requests]
        self._begun = time.monotonic()
        #: Seconds to wait before the next round.
        self.pause = 0.0

    def answers(self) -> list[Any]:
        return [errand.answer for errand in self.all]

    def are_open(self) -> bool:
        return not all(errand.done for errand in self.all)

    def unplaced(self) -> list[Errand]:
        """Those whose server has to be asked for."""
        return [errand for errand in self.all if not errand.done and errand.host is None]

    def by_host(self) -> dict[Host, list[Errand]]:
        """What is still to be said to each server."""
        groups: dict[Host, list[Errand]] = {}
        for errand in self.all:
            if not errand.done and errand.host is not None:
                groups.setdefault(errand.host, []).append(errand)
        self.pause = 0.0
        return groups

    def note(self, host: Host, group: list[Errand], answers: list[Any]) -> None:
        """Take answers over, but for what has to be said again."""
        given = iter(answers)
        for errand in group:
            answer = next(given)
            if errand.redirect.asking:
                answer = next(given)
            if isinstance(answer, ChannelLayerUnavailable):
                self._note_failure(host, errand, answer)
            elif isinstance(answer, RedisError):
                self._note_refusal(host, errand, answer)
            else:
                errand.finish(answer)
        self._end_waits()

    def _note_failure(self, host: Host, errand: Errand, error: ChannelLayerUnavailable) -> None:
        """Only what surely did not arrive is tried again, once, if its shard may have moved."""
        errand.tries += 1
        errand.redirect = Redirect()
        may_be_elsewhere = errand.location.lose(host)
        if error.may_have_arrived or not may_be_elsewhere or errand.tries > 1:
            errand.finish(error)

    def _note_refusal(self, host: Host, errand: Errand, error: RedisError) -> None:
        if isinstance(error, NoScriptError) and errand.command.script:
            errand.command = errand.command.by_text()
            return
        redirect = errand.location.redirect(error, host)
        if redirect is None or time.monotonic() >= self._begun + patience_of(errand.command):
            errand.finish(refused(host.address, error))
            return
        # Servers that do not agree might send it to and fro.
        if redirect.host is None or errand.redirect.host is not None:
            self.pause = MOVING_PAUSE
        errand.redirect = redirect

    def _end_waits(self) -> None:
        """End each wait behind which something came: it was there first, and must not get lost."""
        for number, errand in enumerate(self.all):
            if not errand.command.blocking or isinstance(errand.answer, list):
                continue
            behind = (later for later in self.all[number:] if later.location is errand.location)
            if any(brings_something(later.answer) for later in behind):
                errand.finish(None)


def brings_something(answer: Any) -> bool:
    """Whether there is anything in the lists of an answer."""
    if isinstance(answer, list):
        return any(map(brings_something, answer))
    return answer is not None and not isinstance(answer, Exception)


def patience_of(command: Command) -> float:
    """Seconds for which to try a command again that had no effect."""
    receives = command.blocking or command.script is RECEIVE
    return RECEIVING_PATIENCE if receives else MOVING_PATIENCE


def common_host(locations: Sequence[Location], requests: Sequence[Request]) -> Host | None:
    """The server that has the shards of all requests, if that is known, as it mostly is."""
    host = locations[requests[0].shard].host if requests else None
    for shard, _ in requests[1:]:
        if locations[shard].host is not host:
            return None
    return host


def has_failures(answers: list[Any]) -> bool:
    for answer in answers:  # noqa: SIM110 - it runs for every exchange
        if isinstance(answer, Exception):
            return True
    return False


def commands_of(group: list[Errand]) -> list[Command]:
    """What to say for a group of errands."""
    said = []
    for errand in group:
        if errand.redirect.asking:
            said.append(Command("ASKING"))
        said.append(errand.command)
    return said
