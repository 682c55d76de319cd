"""Carrying out steps: saying to several servers what is to be said, and finding them."""

from __future__ import annotations

import asyncio
import contextlib
import selectors
import time
from collections.abc import Iterator, Sequence
from typing import Any, cast

from ...exceptions import ChannelLayerUnavailable
from .errands import Errand, Errands, Location, commands_of, common_host, has_failures
from .hosts import ANSWER_SECONDS, Host
from .server import LoopServer, Server, Talk
from .steps import Race, Request, Result, Steps


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
