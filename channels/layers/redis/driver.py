"""Carrying out steps: saying to several servers what is to be said, and finding them.

Steps are generators without I/O: what they yield is said to Redis, by a ``Driver`` for threads
or a ``LoopDriver`` for an event loop, and what they get back are the answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import selectors
import time
from collections.abc import Generator, Iterator, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar, cast

from redis.exceptions import NoScriptError, RedisError

from ...exceptions import ChannelLayerUnavailable
from .commands import RECEIVE, Command, batches
from .hosts import ANSWER_SECONDS, Host
from .server import LoopServer, Server, Talk, refused

#: Seconds for which a command that had no effect is tried again, where its shard moves between
#: servers just then, and between two tries. Who receives will ask again anyway, and serves the
#: other shards meanwhile.
MOVING_PATIENCE, RECEIVING_PATIENCE = 2.0, 0.25
MOVING_PAUSE = 0.05

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
        host = common_host(self.locations, requests)
        if host is None:
            return self._run(Errands(self.locations, requests))
        answers = self._server(host).execute([command for _, command in requests])
        if not has_failures(answers):
            return answers
        errands = Errands(self.locations, requests)
        errands.note(host, errands.all, answers)
        return self._run(errands)

    def _run(self, errands: Errands) -> list[Any]:
        while errands.are_open():
            if errands.pause:
                time.sleep(errands.pause)
            self._place(errands)
            groups = errands.by_host()
            talks = [self._begin(*group) for group in groups.items()]
            with closing_all(talks):
                for (host, group), talk in zip(groups.items(), talks, strict=True):
                    errands.note(host, group, talk.answers())
        return errands.answers()

    def race(self, race: Race) -> list[Any]:
        """The answers; ``None`` for those that brought nothing."""
        errands = Errands(self.locations, race.requests)
        self._place(errands)
        runners = [
            (number, errand, errand.host)
            for number, errand in enumerate(errands.all)
            if errand.host and not errand.done
        ]
        talks = [self._begin(host, [errand]) for _, errand, host in runners]
        with closing_all(talks):
            first = first_to_answer(talks)
            finish = sorted(zip(runners, talks, strict=True), key=lambda run: run[1] is not first)
            for (number, errand, host), talk in finish:
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

    def _begin(self, host: Host, group: list[Errand]) -> Talk:
        return self._server(host).begin(commands_of(group))

    def _server(self, host: Host) -> Server:
        server = self._servers.get(host)
        return server or self._servers.setdefault(host, Server(host))


@contextlib.contextmanager
def closing_all(talks: Sequence[Talk]) -> Iterator[None]:
    """Whatever happens, no talk keeps its connection."""
    try:
        yield
    finally:
        for talk in talks:
            talk.close()


def first_to_answer(talks: Sequence[Talk]) -> Talk | None:
    """Wait until one of them answers, or should have."""
    with selectors.DefaultSelector() as selector:
        for talk in talks:
            if talk.has_failed:
                return talk
            selector.register(talk, selectors.EVENT_READ)
        ready = selector.select(ANSWER_SECONDS) if talks else []
    return ready[0][0].fileobj if ready else next(iter(talks), None)  # type: ignore[return-value]


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
        host = common_host(self._locations, requests)
        if host is None:
            return await self._run(Errands(self._locations, requests))
        answers = await self._server(host).execute([command for _, command in requests])
        if not has_failures(answers):
            return answers
        errands = Errands(self._locations, requests)
        errands.note(host, errands.all, answers)
        return await self._run(errands)

    async def _run(self, errands: Errands) -> list[Any]:
        while errands.are_open():
            if errands.pause:
                await asyncio.sleep(errands.pause)
            await self._place(errands)
            groups = errands.by_host().items()
            await asyncio.gather(*(self._say(errands, *group) for group in groups))
        return errands.answers()

    async def race(self, race: Race) -> list[Any]:
        """The answers; ``None`` for those that brought nothing."""
        errands = Errands(self._locations, race.requests)
        await self._place(errands)
        runs = [
            asyncio.ensure_future(self._say(errands, errand.host, [errand]))
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

    async def _say(self, errands: Errands, host: Host, group: list[Errand]) -> None:
        errands.note(host, group, await self._server(host).execute(commands_of(group)))

    def _server(self, host: Host) -> LoopServer:
        server = self._servers.get(host)
        return server or self._servers.setdefault(host, LoopServer(host))
