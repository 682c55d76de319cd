"""An interface server that is told to stop while replies come: what becomes of its sockets."""

from __future__ import annotations

import signal

import pytest

from .conftest import MakeSite
from .running import Broadcast, Site, repeated

#: Sockets that are open when the server is told to stop, and the number that all have heard then.
SOCKETS, HEARD = 20, 100

#: What a close frame says when the server goes.
SERVICE_RESTART = 1012


@pytest.fixture(scope="module")
def site(make_site: MakeSite) -> Site:
    site = make_site()
    site.start_worker()
    return site


def test_each_socket_hears_all_until_it_is_closed_and_its_end_is_told_once(site: Site) -> None:
    server = site.start_server()
    with server.sockets(SOCKETS, "crowd") as sockets, Broadcast(site.layer, "crowd"):
        for socket in sockets:
            socket.hear_until(HEARD)
        server.process.ask_to_end()
        assert [socket.hear_to_the_end() for socket in sockets] == [SERVICE_RESTART] * SOCKETS
        # Uvicorn sends the signal to itself again when all is done.
        assert server.process.wait() in (0, -signal.SIGTERM)
        for socket in sockets:
            first = socket.heard[0]
            assert socket.heard == list(range(first, first + len(socket.heard)))
    site.wait_for("disconnect", SOCKETS)
    assert sorted(site.recorded("disconnect")) == sorted(site.recorded("connect"))
    assert repeated(site.recorded("disconnect")) == []
    assert "Traceback" not in "".join(server.process.lines)


def test_the_ends_of_sockets_are_told_when_redis_is_back(site: Site) -> None:
    server = site.start_server()
    with server.sockets(SOCKETS, "crowd") as sockets:
        site.redis.stop()
        server.process.ask_to_end()
        assert [socket.hear_to_the_end() for socket in sockets] == [SERVICE_RESTART] * SOCKETS
        site.redis.start()
        assert server.process.wait() in (0, -signal.SIGTERM)
    site.wait_for("disconnect", len(site.recorded("connect")))
    assert sorted(site.recorded("disconnect")) == sorted(site.recorded("connect"))
    assert repeated(site.recorded("disconnect")) == []
