from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio

from channels.interface import runtime
from channels.interface.application import InterfaceApplication
from channels.layers import InMemoryChannelLayer

from .asgi_client import Connection, Http, WebSocket, Worker


class Site:
    """An interface server, its layer, and the worker behind it."""

    def __init__(self, layer: Any = None, **options: Any) -> None:
        self.layer = InMemoryChannelLayer() if layer is None else layer
        self.worker = Worker(self.layer)
        self.application = InterfaceApplication(self.layer, **options)
        self.connections: list[Connection] = []

    def http(self, body: bytes | None = b"", **scope: Any) -> Http:
        return self._keep(Http(self.application, body, **scope))

    def socket(self, **scope: Any) -> WebSocket:
        return self._keep(WebSocket(self.application, **scope))

    async def open_socket(self, **scope: Any) -> tuple[WebSocket, Any]:
        """A socket that the worker has accepted, and its ``websocket.connect``."""
        socket = self.socket(**scope)
        connect = await self.worker.take("websocket.connect")
        self.worker.reply(connect, accept=True)
        assert (await socket.take())["type"] == "websocket.accept"
        return socket, connect

    def _keep(self, connection: Any) -> Any:
        self.connections.append(connection)
        return connection


@pytest_asyncio.fixture
async def make_site(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    """Makes sites, and ends what they left open."""
    monkeypatch.setattr(runtime, "SHUTDOWN_PATIENCE", 0.5)
    sites: list[Site] = []

    def make(layer: Any = None, **options: Any) -> Site:
        sites.append(Site(layer, **options))
        return sites[-1]

    yield make
    for site in sites:
        for connection in site.connections:
            connection.task.cancel()
        lifespan = Connection(site.application, {"type": "lifespan"})
        lifespan.give("lifespan.startup")
        lifespan.give("lifespan.shutdown")
        await lifespan.ended()


@pytest.fixture
def site(make_site: Any) -> Site:
    site: Site = make_site()
    return site


@pytest_asyncio.fixture
async def own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time of the test's loop and layer alone, which passes only while nothing else is left to do:
    however slow the machine is, no timer is late, and none is waited for. Not for tests in
    which something is done in other threads."""
    loop: Any = asyncio.get_running_loop()
    now, select = loop.time(), loop._selector.select

    def pass_time(timeout: float | None) -> Any:
        nonlocal now
        if timeout is None:
            return select(None)
        events = select(0)
        if not events:
            now += timeout
        return events

    monkeypatch.setattr(loop, "time", lambda: now)
    for module in ("memory", "waiting"):
        clock = SimpleNamespace(monotonic=lambda: now)
        monkeypatch.setattr(f"channels.layers.{module}.time", clock)
    monkeypatch.setattr(loop._selector, "select", pass_time)
