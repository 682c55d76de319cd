"""Connections of real processes to Redis that are cut while a reply comes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from .conftest import MakeSite
from .running import Broadcast, Server, Site, repeated

#: What a socket says while the connections of the worker are cut, and how often they are.
SAID, CUTS = 60, 5

#: Messages that flow between two cuts.
FURTHER = 20

#: What a close frame says when a frame may be lost.
TRY_AGAIN_LATER = 1013


@pytest.fixture(scope="module")
def site(make_site: MakeSite) -> Iterator[Site]:
    site = make_site()
    worker = site.start_worker()
    yield site
    assert worker.terminate() == 0


@pytest.fixture(scope="module")
def server(site: Site) -> Server:
    return site.start_server()


def test_a_frame_that_may_have_arrived_is_handled_once_and_its_socket_is_closed(
    site: Site, server: Server
) -> None:
    with server.sockets(1, "cut") as [socket]:
        site.server_proxy.cut_reply_to = b"channel:websocket.receive"
        socket.say(1)
        assert socket.hear_to_the_end() == TRY_AGAIN_LATER
        site.server_proxy.cut_reply_to = None
    site.wait_for("disconnect", 1)
    assert site.recorded("receive") == ["1"]
    assert site.recorded("disconnect") == site.recorded("connect")


def test_a_worker_whose_turns_are_cut_replies_once_and_loses_what_it_was_about_to_get(
    site: Site, server: Server
) -> None:
    proxy = site.worker_proxy
    with server.sockets(1, "cut") as [socket]:
        before = len(site.recorded("receive"))
        for each in range(CUTS):
            proxy.cut_reply_to = b"BLPOP"
            for number in range(each * SAID // CUTS, (each + 1) * SAID // CUTS):
                socket.say(number)
            proxy.wait_until(lambda wanted=each + 1: proxy.cuts >= wanted, "a cut")
            proxy.cut_reply_to = None
        socket.say(SAID)
        socket.hear_until(SAID)
        handled = [int(text) for text in site.recorded("receive")[before:]]
        assert repeated(handled) == []
        assert socket.heard == handled
        lost = SAID + 1 - len(handled)
        print(f"{proxy.cuts} turns were cut, {lost} messages are lost.")
        assert lost <= proxy.cuts


def test_an_interface_server_whose_receives_are_cut_loses_what_they_have_popped(
    site: Site, server: Server
) -> None:
    proxy = site.server_proxy
    with server.sockets(3, "cut") as sockets, Broadcast(site.layer, "cut") as broadcast:
        before = proxy.cuts
        for each in range(1, CUTS + 1):
            proxy.cut_reply_to = b"BLPOP"
            proxy.wait_until(lambda wanted=before + each: proxy.cuts >= wanted, "a cut")
            proxy.cut_reply_to = None
            # Until something arrives, nothing is known to be lost.
            for socket in sockets:
                socket.hear_until(broadcast.sent + FURTHER)
        broadcast.end()
        for socket in sockets:
            socket.hear_until(broadcast.sent - 1)
        heard = sockets[0].heard
        assert [socket.heard for socket in sockets] == [heard] * len(sockets)
        assert heard == sorted(set(heard))
        gaps = sum(after - one != 1 for one, after in itertools.pairwise([-1, *heard]))
        lost = broadcast.sent - len(heard)
        print(f"{proxy.cuts - before} receives were cut, {lost} messages are lost.")
        assert 0 < gaps <= proxy.cuts - before
