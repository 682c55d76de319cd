"""Measure a message to a thousand open WebSockets, against Channels 4 on the same server.

Run from the top of a checkout: ``python -m tests.benchmarks.broadcast``. The first run makes a
virtual environment for the other side. Measured is the time from the frame of one more socket,
which triggers the group send, until the last member has its frame; the client is this process.
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable
from pathlib import Path

from tests.redis_server import RedisServer

from .light_sockets import Crowd, text_frame
from .measuring import Ratio, Side, seconds_each, show, show_load, show_surroundings, take_turns
from .peer_environment import DEFAULT_CACHE, peer_python
from .processes import stopping_cleanly
from .sites import CORE_LAYER, PUBSUB_LAYER, Site, our_site, peer_site

OURS = "ours: uvicorn, one runworker"
ASYNC = "Channels 4, async consumers"
SYNC = "Channels 4, sync consumers"
PUBSUB = "Channels 4, async, pub/sub layer"

#: Broadcasts in a row in one round.
BROADCASTS = 5

FRAME = text_frame("x" * 100)


def broadcasting(site: Site, members: Crowd, trigger: Crowd) -> Callable[[], float]:
    def broadcast() -> None:
        trigger.send(FRAME)
        members.await_texts()

    def measure() -> float:
        with site.working(BROADCASTS):
            return seconds_each(broadcast, BROADCASTS)

    return measure


def measure(sites: list[Site], sockets: int, rounds: int) -> None:
    with contextlib.ExitStack() as stack:
        sides = []
        for site in sites:
            members = stack.enter_context(Crowd(site.port, "/members/", sockets))
            trigger = stack.enter_context(Crowd(site.port, "/trigger/", 1))
            sides.append(Side(site.name, broadcasting(site, members, trigger)))
        ratios = [
            Ratio("time, ours / async", OURS, ASYNC, at_most=0.6),
            Ratio("time, ours / sync", OURS, SYNC),
            Ratio("time, ours / pub/sub", OURS, PUBSUB),
        ]
        figures = take_turns(sides, rounds)
        show(f"broadcast to {sockets} sockets", figures, ratios, unit="ms")
    for site in sites:
        site.show_cpu("broadcast")


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure a message to many open WebSockets.")
    parser.add_argument("--sockets", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument(
        "--cache", type=Path, default=DEFAULT_CACHE, help="where the environment is kept"
    )
    options = parser.parse_args()
    with stopping_cleanly(), RedisServer() as server, contextlib.ExitStack() as stack:
        python = peer_python(options.cache)
        show_surroundings(server.url)
        url, start, path = server.url.removesuffix("0"), stack.enter_context, "/members/"
        sites = [
            start(our_site(OURS, url + "0", path=path)),
            start(peer_site(ASYNC, url + "1", python, "async", CORE_LAYER, path)),
            start(peer_site(SYNC, url + "2", python, "sync", CORE_LAYER, path)),
            start(peer_site(PUBSUB, url + "3", python, "async", PUBSUB_LAYER, path)),
        ]
        measure(sites, options.sockets, options.rounds)
        show_load()


if __name__ == "__main__":
    main()
