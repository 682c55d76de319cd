"""Measure the echo of a synchronous consumer, against one of Channels 4 on the same server.

Run from the top of a checkout: ``python -m tests.benchmarks.echo``. The first run makes a
virtual environment for the other side. Ours has more processes, which is why the CPU time of
all servers is printed as well; the client is this process.
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable
from pathlib import Path

from tests.redis_server import RedisServer

from .light_sockets import Crowd, text_frame
from .measuring import Ratio, Side, seconds_of, show, show_load, show_surroundings, take_turns
from .peer_environment import DEFAULT_CACHE, peer_python
from .processes import stopping_cleanly
from .sites import Site, our_site, peer_site

OURS = "ours, one worker"
THREADS = "ours, one worker of 4 threads"
WORKERS = "ours, two workers"
SYNC = "Channels 4, sync consumer"
ASYNC = "Channels 4, async consumer"

FRAME = text_frame("x" * 100)

#: Echoes of one round: with many sockets, and with one.
MESSAGES, ROUND_TRIPS = 1000, 100


def echoing(site: Site, crowd: Crowd, count: int) -> Callable[[], float]:
    def measure() -> float:
        with site.working(count):
            return seconds_of(lambda: crowd.converse(FRAME, count)) / count

    return measure


def measure(sites: list[Site], sockets: int, count: int, rounds: int) -> None:
    """``sockets`` have one message each under way."""
    with contextlib.ExitStack() as stack:
        sides = []
        for site in sites:
            site.forget_cpu()
            crowd = stack.enter_context(Crowd(site.port, "/", sockets))
            sides.append(Side(site.name, echoing(site, crowd, count)))
        figures = take_turns(sides, rounds)
    # One message at a time passes through three processes here, through one there.
    what, goal = ("rate", 1) if sockets > 1 else ("speed", None)
    ratios = [
        Ratio(f"{what}, ours / sync", SYNC, OURS, at_least=goal),
        Ratio(f"{what}, 4 threads / sync", SYNC, THREADS),
        Ratio(f"{what}, two workers / sync", SYNC, WORKERS),
        Ratio(f"{what}, ours / async", ASYNC, OURS),
    ]
    show(f"echo of 100 bytes, {sockets} socket(s), time per message", figures, ratios)
    for site in sites:
        site.show_cpu("message")


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the echo of a synchronous consumer.")
    parser.add_argument("--sockets", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument(
        "--cache", type=Path, default=DEFAULT_CACHE, help="where the environment is kept"
    )
    options = parser.parse_args()
    with stopping_cleanly(), RedisServer() as server, contextlib.ExitStack() as stack:
        python = peer_python(options.cache)
        show_surroundings(server.url)
        url, start = server.url.removesuffix("0"), stack.enter_context
        sites = [
            start(our_site(OURS, url + "0")),
            start(our_site(THREADS, url + "1", threads=4)),
            start(our_site(WORKERS, url + "2", workers=2)),
            start(peer_site(SYNC, url + "3", python, "sync")),
            start(peer_site(ASYNC, url + "4", python, "async")),
        ]
        measure(sites, options.sockets, MESSAGES, options.rounds)
        measure(sites, 1, ROUND_TRIPS, options.rounds)
        show_load()


if __name__ == "__main__":
    main()
