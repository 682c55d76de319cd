"""Redis away, empty, slow or full under real processes: they go on, and so do their sockets."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator

import pytest
from websockets.exceptions import InvalidStatus

from channels.layers.redis import RedisChannelLayer

from ..examples.processes import Process
from ..redis_server import wait_until
from .conftest import MakeSite
from .running import Server, Site, Socket, repeated

#: Numbers that no two messages of this module share.
numbers = itertools.count(1)

#: Messages that must all arrive once everything works again.
AFTERWARDS = 20

#: Seconds between two group sends, while nobody may hear them yet.
PAUSE = 0.1


class Crowd:
    """Sockets in one group, and one that tells the group what it says, over a worker."""

    group = "crowd"

    def __init__(self, members: list[Socket], speaker: Socket) -> None:
        self.members = members
        self.speaker = speaker

    def tell(self) -> int:
        """Say one number, which the whole group hears some time."""
        number = next(numbers)
        self.speaker.say(number)
        return number

    def talk(self, count: int = AFTERWARDS) -> None:
        """Say some numbers, and wait until all have heard them, and nothing else."""
        told = [self.tell() for _ in range(count)]
        self.hear(told)

    def hear(self, told: list[int]) -> None:
        """Wait until all have heard what was told, and nothing else.

        A worker with several threads may let numbers overtake others.
        """
        for member in self.members:
            assert sorted(member.hear() for _ in told) == told

    def reunite(self, layer: RedisChannelLayer) -> None:
        """Send to the group until each member has heard something, and then the last of it."""
        waiting = list(self.members)

        def hear() -> bool:
            self._send(layer)
            for member in list(waiting):
                with contextlib.suppress(TimeoutError):
                    member.hear(PAUSE)
                    waiting.remove(member)
            return not waiting

        wait_until(hear, "the whole group hears again")
        last = self._send(layer)
        for member in self.members:
            member.hear_until(last)

    def _send(self, layer: RedisChannelLayer) -> int:
        number = next(numbers)
        layer.send_group(self.group, {"text": str(number)})
        return number


@pytest.fixture(scope="module")
def site(make_site: MakeSite) -> Site:
    return make_site()


@pytest.fixture(scope="module")
def server(site: Site) -> Server:
    return site.start_server()


@pytest.fixture(scope="module")
def worker(site: Site) -> Process:
    return site.start_worker(threads=2)


@pytest.fixture
def crowd(site: Site, server: Server, worker: Process) -> Iterator[Crowd]:
    """All sockets are open before and after, and nobody has heard anything twice."""
    with (
        server.sockets(5, Crowd.group) as members,
        server.sockets(1, Crowd.group, "tell") as [one],
    ):
        crowd = Crowd(members, one)
        crowd.talk()
        yield crowd
        crowd.talk()
        for member in members:
            assert repeated(member.heard) == []
        assert repeated(site.recorded("receive")) == []


def await_attempts(site: Site, times: int = 3) -> None:
    """Wait until both processes have tried in vain to reach Redis, so many times."""
    for proxy in (site.server_proxy, site.worker_proxy):
        wanted = proxy.connections + times
        proxy.wait_until(lambda p=proxy, w=wanted: p.connections >= w, "an attempt to connect")


def stop_for_a_while(site: Site) -> None:
    site.redis.stop()
    await_attempts(site)
    site.redis.start()


def restart(site: Site) -> None:
    site.redis.restart()


def lose_everything(site: Site) -> None:
    with site.redis.client() as client:
        client.flushall()


def cut_connections(site: Site) -> None:
    site.server_proxy.cut_all()
    site.worker_proxy.cut_all()


class Logs:
    """What the processes log from now on."""

    def __init__(self, *processes: Process) -> None:
        self._starts = [(process, len(process.lines)) for process in processes]

    def lines(self) -> list[list[str]]:
        return [process.lines[start:] for process, start in self._starts]

    def count(self, words: str) -> list[int]:
        return [sum(words in line for line in lines) for lines in self.lines()]


@pytest.mark.parametrize(
    ("break_it", "outages"),
    [(stop_for_a_while, 1), (restart, 1), (cut_connections, 1), (lose_everything, 0)],
)
def test_sockets_stay_open_and_their_groups_reach_them_again(
    site: Site,
    server: Server,
    worker: Process,
    crowd: Crowd,
    break_it: Callable[[Site], None],
    outages: int,
) -> None:
    logs = Logs(server.process, worker)
    break_it(site)
    crowd.reunite(site.layer)
    wait_until(lambda: logs.count("receiving goes on") == [outages] * 2, "both go on")
    assert logs.count("Receiving waits") == [outages] * 2
    assert [len(lines) for lines in logs.lines()] == [2 * outages] * 2


def test_what_is_said_while_redis_hangs_for_a_moment_arrives(site: Site, crowd: Crowd) -> None:
    site.redis.pause()
    asked = len(site.server_proxy.requests)
    told = [crowd.tell() for _ in range(5)]
    site.server_proxy.wait_until(
        lambda: b"websocket.receive" in site.server_proxy.requests[asked:], "what was said"
    )
    site.redis.resume()
    crowd.hear(told)


def test_with_a_slow_redis_everything_arrives_and_sockets_share_round_trips(
    site: Site, server: Server, crowd: Crowd
) -> None:
    proxies = site.server_proxy, site.worker_proxy
    with server.sockets(8, "slow") as sockets:
        for proxy in proxies:
            proxy.reply_delay = 0.2
        try:
            asked = len(site.server_proxy.requests)
            said = [[next(numbers) for _ in range(3)] for _ in sockets]
            for each in range(3):
                for socket, own in zip(sockets, said, strict=True):
                    socket.say(own[each])
            for socket, own in zip(sockets, said, strict=True):
                for _ in own:
                    socket.hear()
                assert sorted(socket.heard) == own
            # Each batch of messages names the counter of their channel once.
            batches = site.server_proxy.requests[asked:].count(b"channel:websocket.receive\r\n")
            assert batches <= 12
        finally:
            for proxy in proxies:
                proxy.reply_delay = 0


def test_messages_with_a_wrong_key_are_lost_with_a_line_in_the_log_each_and_no_others(
    site: Site, server: Server, worker: Process, crowd: Crowd
) -> None:
    logs = Logs(server.process, worker)
    stranger = RedisChannelLayer([site.redis.url], symmetric_encryption_keys=["a wrong key"])
    right = next(numbers)
    for layer in (stranger, site.layer):
        layer.send("work", {"n": right})
        layer.send_group(crowd.group, {"text": str(right)})
    stranger.close()
    crowd.hear([right])
    site.wait_for("begin", 1)
    assert site.recorded("begin") == [right]
    wait_until(lambda: all(logs.count("is lost")), "both processes log it")
    assert logs.count("none of the symmetric_encryption_keys decrypts") == [1, 1]


def test_a_full_redis_refuses_new_messages_and_keeps_what_is_there(
    site: Site, server: Server, worker: Process, crowd: Crowd
) -> None:
    logs = Logs(server.process, worker)
    waiting = next(numbers)
    with site.redis.client() as client, server.sockets(1, "full") as [talker]:
        client.config_set("maxmemory", 1)
        try:
            talker.say(next(numbers))
            assert talker.hear_to_the_end() == 1013
            with pytest.raises(InvalidStatus, match="503"), server.sockets(1, "full"):
                pass
        finally:
            client.config_set("maxmemory", 0)
    site.layer.send_group(crowd.group, {"text": str(waiting)})
    crowd.hear([waiting])
    assert logs.count("maxmemory")[0] >= 1
    assert logs.count("Receiving waits") == [0, 0]
