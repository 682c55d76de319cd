"""Carrying out steps: saying to several servers what is to be said, and finding them.

Steps are generators without I/O: what they yield is said to Redis, by a ``Driver`` for threads
or a ``LoopDriver`` for an event loop, and what they get back are the answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import Generator, Iterator, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar, cast

from redis.exceptions import NoScriptError, RedisError

from ...exceptions import ChannelLayerUnavailable
from .commands import Command, batches
from .hosts import Host
from .server import LoopServer, Server, Talk, refused

#: Seconds for which a command that had no effect is tried again, where its shard moves between
#: servers just then, and between two tries.
MOVING_PATIENCE = 5.0
MOVING_PAUSE = 0.05

#: Seconds between two looks at the connections of a race, all of them together.
RACE_PAUSE = 0.01

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

    def redirect(self, error: RedisError) -> Redirect | None:
        """Where to take a command that was refused with ``error``; ``None`` for nowhere."""


class FixedLocation:
    """A shard on a server that is always the same."""

    def __init__(self, host: Host) -> None:
        self.host: Host | None = host
        self._host = host

    def find(self) -> Host:
        return self._host

    def lose(self, host: Host) -> bool:
        return False

    def redirect(self, error: RedisError) -> Redirect | None:
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
        self._end = time.monotonic() + MOVING_PATIENCE
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
                self.note_failure(host, errand, answer)
            elif isinstance(answer, RedisError):
                self._note_refusal(host, errand, answer)
            else:
                errand.finish(answer)

    def note_failure(self, host: Host, errand: Errand, error: ChannelLayerUnavailable) -> None:
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
        redirect = errand.location.redirect(error)
        if redirect is None or time.monotonic() >= self._end:
            errand.finish(refused(host.address, error))
            return
        errand.redirect = redirect
        if redirect.host is None:
            self.pause = MOVING_PAUSE


def commands_of(group: list[Errand]) -> list[Command]:
    """What to say for a group of errands."""
    said = []
    for errand in group:
        if errand.redirect.asking:
            said.append(Command("ASKING"))
        said.append(errand.command)
    return said


class Driver:
    """Carries out steps over blocking connections; safe with threads, and after a fork."""

    def __init__(self, locations: Sequence[Location]) -> None:
        self.locations = locations
        self._servers: dict[Host, Server] = {}

    def drive(self, steps: Steps[Result]) -> Result:
        """Carry out ``steps``; returns what they return."""
        try:
            said = next(steps)
            while True:
                answers = self.race(said) if isinstance(said, Race) else self.exchange(said)
                said = steps.send(answers)
        except StopIteration as end:
            return cast(Result, end.value)
        finally:
            steps.close()

    def exchange(self, requests: Sequence[Request]) -> list[Any]:
        """The answers, in the order of the requests."""
        errands = Errands(self.locations, requests)
        while errands.are_open():
            if errands.pause:
                time.sleep(errands.pause)
            self._place(errands)
            groups = errands.by_host()
            talks = [self._begin(errands, host, group) for host, group in groups.items()]
            with closing_all(talks):
                for (host, group), talk in zip(groups.items(), talks, strict=True):
                    if talk:
                        errands.note(host, group, talk.answers())
        return errands.answers()

    def race(self, race: Race) -> list[Any]:
        """The answers; ``None`` for those that brought nothing."""
        errands = Errands(self.locations, race.requests)
        self._place(errands)
        runners = [(errand, errand.host) for errand in errands.all]
        talks = [
            self._begin(errands, host, [errand]) if host and not errand.done else None
            for errand, host in runners
        ]
        with closing_all(talks):
            first = first_to_answer(talks)
            for number in sorted(range(len(talks)), key=lambda number: talks[number] is not first):
                errand, host = runners[number]
                if (talk := talks[number]) and host:
                    errands.note(host, [errand], talk.answers())
                if talk is first and errand.answer is not None:
                    others = (bell for at, bell in enumerate(race.bells) if at != number)
                    self.exchange([request for bell in others for request in bell])
        return errands.answers()

    def close(self) -> None:
        """Close all connections; later commands make new ones."""
        for server in list(self._servers.values()):
            server.close()

    def _place(self, errands: Errands) -> None:
        for errand in errands.unplaced():
            try:
                errand.location.find()
            except ChannelLayerUnavailable as error:
                errand.finish(error)

    def _begin(self, errands: Errands, host: Host, group: list[Errand]) -> Talk | None:
        try:
            return self._server(host).begin(commands_of(group))
        except ChannelLayerUnavailable as error:
            for errand in group:
                errands.note_failure(host, errand, error)
            return None

    def _server(self, host: Host) -> Server:
        server = self._servers.get(host)
        return server or self._servers.setdefault(host, Server(host))


@contextlib.contextmanager
def closing_all(talks: Sequence[Talk | None]) -> Iterator[None]:
    """Whatever happens, no talk keeps its connection."""
    try:
        yield
    finally:
        for talk in talks:
            if talk:
                talk.close()


def first_to_answer(talks: Sequence[Talk | None]) -> Talk | None:
    """Wait until one of them answers; redis-py can look at one connection at a time only."""
    runners = [talk for talk in talks if talk]
    for talk in itertools.cycle(runners):
        if talk.can_read(RACE_PAUSE / len(runners)):
            return talk
    return None


class LoopDriver:
    """The same as ``Driver``, over asyncio connections of the running event loop."""

    def __init__(self, locations: Sequence[Location]) -> None:
        self._locations = locations
        self._servers: dict[Host, LoopServer] = {}

    async def drive(self, steps: Steps[Result]) -> Result:
        """Carry out ``steps``; returns what they return."""
        try:
            said = next(steps)
            while True:
                if isinstance(said, Race):
                    answers = await self.race(said)
                else:
                    answers = await self.exchange(said)
                said = steps.send(answers)
        except StopIteration as end:
            return cast(Result, end.value)
        finally:
            steps.close()

    async def exchange(self, requests: Sequence[Request]) -> list[Any]:
        """The answers, in the order of the requests."""
        errands = Errands(self._locations, requests)
        while errands.are_open():
            if errands.pause:
                await asyncio.sleep(errands.pause)
            await self._place(errands)
            runs = [self._run(errands, *group) for group in errands.by_host().items()]
            if len(runs) == 1:
                await runs[0]
            else:
                await asyncio.gather(*runs)
        return errands.answers()

    async def race(self, race: Race) -> list[Any]:
        """The answers; ``None`` for those that brought nothing."""
        errands = Errands(self._locations, race.requests)
        await self._place(errands)
        runs = [
            asyncio.ensure_future(self._run(errands, errand.host, [errand]))
            for errand in errands.all
            if errand.host and not errand.done
        ]
        if not runs:
            return errands.answers()
        try:
            _, others = await asyncio.wait(runs, return_when=asyncio.FIRST_COMPLETED)
            if others and any(errand.answer is not None for errand in errands.all):
                slow = (bell for at, bell in enumerate(race.bells) if not errands.all[at].done)
                await self.exchange([request for bell in slow for request in bell])
            await asyncio.gather(*runs)
        finally:
            for run in runs:
                run.cancel()
        return errands.answers()

    async def close(self) -> None:
        """Close all connections; later commands make new ones."""
        for server in list(self._servers.values()):
            await server.close()

    async def _place(self, errands: Errands) -> None:
        for errand in errands.unplaced():
            try:
                await asyncio.get_running_loop().run_in_executor(None, errand.location.find)
            except ChannelLayerUnavailable as error:
                errand.finish(error)

    async def _run(self, errands: Errands, host: Host, group: list[Errand]) -> None:
        try:
            answers = await self._server(host).execute(commands_of(group))
        except ChannelLayerUnavailable as error:
            for errand in group:
                errands.note_failure(host, errand, error)
        else:
            errands.note(host, group, answers)

    def _server(self, host: Host) -> LoopServer:
        server = self._servers.get(host)
        return server or self._servers.setdefault(host, LoopServer(host))
