"""Who gets what is sent to groups on Redis: the same as in memory, whatever was done before."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from channels.layers import InMemoryChannelLayer
from channels.layers.redis import RedisChannelLayer
from channels.test.layer_cases.base import drain

from ..redis_server import RedisServer, wait_until

bounded = settings(
    max_examples=60,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)

CHANNELS = ["ws.P!a", "ws.P!b", "ws.P!c", "http.P!a", "ws.Q!a", "ws.Q!b", "plain", "body?x"]
READERS = [["ws.P!", "http.P!"], ["ws.Q!", "plain", "body?x"]]
GROUPS = ["g", "h", "i"]

#: Who does something: one of three layers, of which the first receives nothing.
layers = st.integers(0, 2)
channels, groups = st.sampled_from(CHANNELS), st.sampled_from(GROUPS)

changes = st.tuples(st.sampled_from(["add", "add", "discard"]), layers, groups, channels)
sends = st.tuples(st.just("send"), layers, channels)
group_sends = st.tuples(st.just("send_group"), layers, groups)
refreshes = st.tuples(st.just("refresh"), layers, st.lists(channels, max_size=3))
looks = st.tuples(st.just("group_channels"), layers, groups)
receives = st.tuples(st.sampled_from(["receive", "wait", "batch"]), st.integers(0, 1))
pauses = st.tuples(st.sampled_from(["hang", "announce"]), st.integers(0, 1))

#: Mostly changes and sends, so that much waits when something is received.
steps = st.one_of(changes, changes, changes, group_sends, group_sends, sends, refreshes, looks)
histories = st.lists(steps, max_size=40)
histories_with_receives = st.lists(
    st.one_of(*[steps] * 6, receives, receives, pauses), max_size=60
)


class Twins:
    """Redis layers and one in memory, to which the same is done; it fails where they differ."""

    def __init__(self, hosts: list[str], runner: asyncio.Runner) -> None:
        name = uuid.uuid4().hex
        self.redis = [
            RedisChannelLayer(hosts, prefix=f"{name}:", stats_prefix=f"{name}-meta:")
            for _ in range(3)
        ]
        for layer in self.redis:
            layer._receiver._block_seconds = 0.02
        self.memory = InMemoryChannelLayer()
        self._runner = runner
        self._keeps_order = len(hosts) == 1
        self._sent = 0
        self._found: list[dict[str, list[int]]] = [{}, {}]

    def close(self) -> None:
        self.redis[0].flush()
        for layer in self.redis:
            layer.close()
            self._runner.run(layer.close_async())

    def do(self, step: tuple[Any, ...]) -> None:
        kind, *arguments = step
        getattr(self, kind)(*arguments)

    def add(self, layer: int, group: str, channel: str) -> None:
        for twin in (self.redis[layer], self.memory):
            twin.group_add(group, channel)

    def discard(self, layer: int, group: str, channel: str) -> None:
        for twin in (self.redis[layer], self.memory):
            twin.group_discard(group, channel)

    def refresh(self, layer: int, channels: list[str]) -> None:
        for twin in (self.redis[layer], self.memory):
            twin.group_refresh(channels)

    def group_channels(self, layer: int, group: str) -> None:
        found = sorted(self.redis[layer].group_channels(group))
        assert found == sorted(self.memory.group_channels(group))

    def send(self, layer: int, channel: str) -> None:
        self._sent += 1
        for twin in (self.redis[layer], self.memory):
            twin.send(channel, {"n": self._sent})

    def send_group(self, layer: int, group: str) -> None:
        self._sent += 1
        for twin in (self.redis[layer], self.memory):
            twin.send_group(group, {"n": self._sent})

    def receive(self, reader: int) -> bool:
        return self._note(0, *self.redis[reader + 1].receive(READERS[reader]))

    def wait(self, reader: int) -> bool:
        return self._note(0, *self.redis[reader + 1].receive(READERS[reader], block=True))

    def batch(self, reader: int) -> None:
        layer = self.redis[reader + 1]
        for targets, message in self._runner.run(layer.receive_batch_async(READERS[reader])):
            for target in targets:
                self._note(0, target, message)

    def hang(self, reader: int) -> None:
        """As if the reader had not read for so long that its journals were gone meanwhile."""
        for process in self.redis[reader + 1]._receiver.processes._known.values():
            if process.read_at is not None:
                process.read_at -= 60

    def announce(self, reader: int) -> None:
        for process in self.redis[reader + 1]._receiver.processes._known.values():
            process.due_at = float("-inf")
        self.receive(reader)

    def compare(self) -> None:
        """Receive what is left, and see that it was the same everywhere."""
        for group in GROUPS:
            self.group_channels(0, group)
        for reader, names in enumerate(READERS):
            while self.receive(reader):
                pass
            while self._note(1, *self.memory.receive(names)):
                pass
        found, expected = self._found
        if not self._keeps_order:
            for numbers in (found, expected):
                numbers.get("plain", []).sort()
        assert found == expected

    def _note(self, side: int, channel: str | None, message: Any) -> bool:
        if channel is not None:
            self._found[side].setdefault(channel, []).append(message["n"])
        return channel is not None


@pytest.fixture(params=["one server", "three shards"])
def hosts(request: pytest.FixtureRequest, redis_server: RedisServer) -> list[str]:
    if request.param == "one server":
        return [redis_server.url]
    shards: list[RedisServer] = request.getfixturevalue("redis_shards")
    return [server.url for server in shards]


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


def follow(hosts: list[str], runner: asyncio.Runner, history: list[tuple[Any, ...]]) -> None:
    twins = Twins(hosts, runner)
    try:
        for step in history:
            twins.do(step)
        twins.compare()
    finally:
        twins.close()


def test_members_that_are_received_for_late_get_what_they_would_get_in_memory(
    hosts: list[str], runner: asyncio.Runner
) -> None:
    @bounded
    @given(histories)
    def run(history: list[tuple[Any, ...]]) -> None:
        follow(hosts, runner, history)

    run()


@pytest.mark.parametrize("records", [2000, 2])
def test_members_that_are_received_for_now_and_then_get_what_they_would_get_in_memory(
    hosts: list[str], runner: asyncio.Runner, records: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("commands", "processes"):
        monkeypatch.setattr(f"channels.layers.redis.{module}.RECORDS_AT_ONCE", records)

    @bounded
    @given(histories_with_receives)
    def run(history: list[tuple[Any, ...]]) -> None:
        follow(hosts, runner, history)

    run()


@pytest.fixture
def brief_layer(redis_config: dict[str, Any]) -> Iterator[RedisChannelLayer]:
    """Another client of ``redis_layer``, for which all is over at once."""
    layer = RedisChannelLayer(**{**redis_config, "expiry": 0.05, "group_expiry": 0.05})
    yield layer
    layer.close()


def test_who_joins_again_after_a_lapse_gets_nothing_from_before(
    redis_layer: RedisChannelLayer, brief_layer: RedisChannelLayer
) -> None:
    redis_layer.group_add("g", "ws.P!a")
    brief_layer.group_add("g", "ws.P!b")
    wait_until(lambda: redis_layer.group_channels("g") == ["ws.P!a"], "b has lapsed")
    redis_layer.send_group("g", {"n": 1})
    redis_layer.group_add("g", "ws.P!b")
    assert drain(redis_layer, "ws.P!") == [("ws.P!a", {"n": 1})]
    redis_layer.send_group("g", {"n": 2})
    assert sorted(drain(redis_layer, "ws.P!")) == [("ws.P!a", {"n": 2}), ("ws.P!b", {"n": 2})]


def test_what_a_process_has_lost_by_never_reading_does_not_come_back_with_its_next_member(
    redis_layer: RedisChannelLayer, brief_layer: RedisChannelLayer
) -> None:
    redis_layer.group_add("g", "ws.P!a")
    brief_layer.send("ws.P!a", {"n": 1})
    wait_until(lambda: redis_layer.group_channels("g") == [], "nobody has read the message")
    redis_layer.group_add("g", "ws.P!b")
    assert redis_layer.receive(["ws.P!"]) == (None, None)
    assert redis_layer.group_channels("g") == ["ws.P!b"]
