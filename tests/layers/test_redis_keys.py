"""No command touches a key that it does not name, or keys of several slots."""

from __future__ import annotations

import codecs
import re
import socket
import unittest
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import Any, NamedTuple

import pytest

from channels.layers.redis import RedisClusterChannelLayer, scripts
from channels.test.layer_cases.batches import ReceiveBatchCases, SendManyCases, TurnCases
from channels.test.layer_cases.delivery import AsyncCases, DeliveryCases
from channels.test.layer_cases.groups import GroupCases
from channels.test.layer_cases.limits import CapacityCases, FlushCases, StatisticsCases

from ..redis_cluster import ClusterDeployment
from ..redis_server import RedisServer

#: A line of MONITOR: who said it, and the words.
LINE = re.compile(r"\+\S+ \[\d+ (?P<who>[^\]]*)\] (?P<words>.*)")
WORD = re.compile(r'"((?:[^"\\]|\\.)*)"')


class Said(NamedTuple):
    """What a client said, and what the script that it ran said in its turn."""

    words: list[str]
    by_script: list[list[str]]


class Monitor:
    """Everything that is said to a server while the block runs, as a context manager."""

    def __init__(self, server: RedisServer) -> None:
        self._server = server
        self.said: list[Said] = []

    def __enter__(self) -> Monitor:
        self._connection = socket.create_connection(("127.0.0.1", self._server.port))
        self._file = self._connection.makefile("rb")
        self._connection.sendall(b"MONITOR\r\n")
        assert self._file.readline() == b"+OK\r\n"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        end = uuid.uuid4().hex
        self._server.ask("ECHO", end)
        for line in self._file:
            found = LINE.match(line.decode())
            assert found, line
            words = WORD.findall(found["words"])
            if words[-1] == end:
                break
            if found["who"] == "lua":
                self.said[-1].by_script.append(words)
            else:
                self.said.append(Said(words, []))
        self._file.close()
        self._connection.close()


class Keys:
    """Says which words of a command are keys, as the server has it."""

    def __init__(self, server: RedisServer) -> None:
        self._server = server
        self._places: dict[str, tuple[int, int, int]] = {}

    def of(self, words: list[str]) -> list[str]:
        name = words[0].upper()
        if name in ("EVAL", "EVALSHA"):
            return words[3 : 3 + int(words[2])]
        if name not in self._places:
            [info] = self._server.ask("COMMAND", "INFO", name).values()
            place = info["first_key_pos"], info["last_key_pos"], info["step_count"]
            self._places[name] = place
        first, last, step = self._places[name]
        return words[first : last + 1 or None : step] if first else []


class Layers(
    DeliveryCases,
    AsyncCases,
    SendManyCases,
    TurnCases,
    ReceiveBatchCases,
    CapacityCases,
    GroupCases,
    FlushCases,
    StatisticsCases,
    unittest.TestCase,
):
    """Uses all that a layer can do; whether that is right is for others to say."""

    hosts: Any = None

    # Nothing that is said depends on how long it waits.
    short_expiry = 0.02
    block_seconds = 0.05

    def make_layer(self, **config: Any) -> RedisClusterChannelLayer:
        name = uuid.uuid4().hex
        prefixes = {"prefix": f"{name}:", "stats_prefix": f"{name}-meta:"}
        layer = RedisClusterChannelLayer(self.hosts, shards=3, **prefixes, **config)
        layer._receiver._block_seconds = self.block_seconds
        return layer


# It is run by the fixture alone.
Layers.__test__ = False  # type: ignore[attr-defined]


def lose_and_bury(cluster: ClusterDeployment) -> None:
    """Let one process find a loss, and clear up after another one; and look at it all."""
    layer = Layers().make_layer()
    process = "ws.P!"
    home = layer._shards.home(process)
    names = (f"ws.Q{n}!" for n in range(100))
    dead = next(name for name in names if layer._shards.home(name) == home)
    for name in (process, dead):
        layer.receive([name])
        layer.group_add("g", f"{name}s")
    key = f"{layer.prefix}{{{layer._tags[home]}}}alive:"
    node = cluster.node_of(cluster.slot_of(key))
    node.ask("ZADD", key, "XX", 1, dead)
    node.ask("ZREM", key, process)
    layer._receiver.processes.suspect_loss(home)
    layer.receive([process])
    assert layer.group_channels("g") == [f"{process}s"]
    layer.send_group("g", {})
    assert layer.describe()["groups"]
    layer.flush()
    layer.close()


@pytest.fixture(scope="module")
def said(redis_cluster: ClusterDeployment) -> list[Said]:
    """All that the layer said to a cluster in a long while."""
    Layers.hosts = redis_cluster.hosts
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(Layers)
    with ExitStack() as stack:
        monitors = [stack.enter_context(Monitor(node)) for node in redis_cluster.nodes]
        suite.run(unittest.TestResult())
        lose_and_bury(redis_cluster)
    return [said for monitor in monitors for said in monitor.said]


@pytest.fixture(scope="module")
def keys(redis_cluster: ClusterDeployment) -> Keys:
    return Keys(redis_cluster.nodes[0])


def scripts_of(said: list[Said]) -> Iterator[Said]:
    return (each for each in said if each.words[0].upper().startswith("EVAL"))


def test_every_script_was_run(said: list[Said]) -> None:
    # The text itself, where the server did not know it yet.
    words = {codecs.decode(each.words[1], "unicode_escape") for each in scripts_of(said)}
    known = {thing for thing in vars(scripts).values() if isinstance(thing, scripts.Script)}
    missing = {script.name for script in known if not words & {script.digest, script.text}}
    assert missing == set()


def test_a_script_touches_no_key_that_it_was_not_given(said: list[Said], keys: Keys) -> None:
    touched = 0
    for script in scripts_of(said):
        given = keys.of(script.words)
        for words in script.by_script:
            assert set(keys.of(words)) <= set(given), (words, given)
            touched += len(keys.of(words))
    assert touched > 1000


def test_all_keys_of_a_command_have_one_hash_tag(said: list[Said], keys: Keys) -> None:
    commands_with_keys = 0
    for each in said:
        tags = {re.findall(r"\{(\d+)\}", key)[0] for key in keys.of(each.words)}
        assert len(tags) <= 1, each
        commands_with_keys += len(tags)
    assert commands_with_keys > 1000
