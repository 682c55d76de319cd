"""Several Redis servers together: shards, Sentinel, a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import MasterNotFoundError, Sentinel

from ..redis_cluster import ClusterDeployment
from ..redis_sentinel import SentinelDeployment
from ..redis_server import RedisServer, find_bundled_redis_server


def ask_sentinels(deployment: SentinelDeployment, **options: object) -> Any:
    """Where redis-py finds the master, from the first sentinel that answers."""
    options["retry"] = Retry(NoBackoff(), 0)
    sentinel = Sentinel(deployment.sentinels, sentinel_kwargs=options)  # type: ignore[no-untyped-call]
    try:
        return sentinel.discover_master(deployment.service)  # type: ignore[no-untyped-call]
    finally:
        for client in sentinel.sentinels:
            client.close()


def write(server: RedisServer, key: str) -> None:
    with server.client() as client:
        client.set(key, 1)


def test_shards_know_nothing_of_each_other(redis_shards: list[RedisServer]) -> None:
    assert len({server.port for server in redis_shards}) == 3
    write(redis_shards[0], "deployments:here")
    found = []
    for server in redis_shards:
        with server.client() as client:
            found.append(client.delete("deployments:here"))
    assert found == [1, 0, 0]


@pytest.fixture(params=["the binary of the suite", "the bundled one"])
def binary(request: pytest.FixtureRequest) -> str | None:
    return None if request.param == "the binary of the suite" else find_bundled_redis_server()


def test_a_forced_failover_changes_the_master_and_another_one_changes_it_back(
    binary: str | None,
) -> None:
    with SentinelDeployment(binary=binary) as deployment:
        first = deployment.master()
        second = deployment.fail_over()
        assert {first, second} == set(deployment.servers)
        assert deployment.master() is second
        assert ask_sentinels(deployment) == ("127.0.0.1", second.port)
        write(second, "a")
        assert deployment.fail_over() is first
        write(first, "b")


def test_the_replica_has_what_was_written_to_the_master(
    redis_sentinel: SentinelDeployment,
) -> None:
    with redis_sentinel.master().client() as client:
        client.set("a", 1)
        assert client.wait(1, 5000) == 1
    with redis_sentinel.fail_over().client() as client:
        assert client.get("a") == b"1"


def test_the_death_of_the_master_makes_the_replica_master(
    redis_sentinel: SentinelDeployment,
) -> None:
    first = redis_sentinel.master()
    second = redis_sentinel.kill_master()
    assert not first.is_running
    assert second is redis_sentinel.master()
    write(second, "a")
    first.start()
    assert redis_sentinel.fail_over() is first


def test_three_sentinels_agree_and_one_may_be_missing() -> None:
    with SentinelDeployment(sentinels=3) as deployment:
        assert len(deployment.sentinels) == 3
        deployment.sentinel_servers[0].kill()
        assert ask_sentinels(deployment) == ("127.0.0.1", deployment.master().port)
        second = deployment.kill_master()
        assert ask_sentinels(deployment) == ("127.0.0.1", second.port)


def test_servers_and_sentinels_ask_for_passwords_of_their_own() -> None:
    with SentinelDeployment(password="one", sentinel_password="two") as deployment:
        with pytest.raises((redis.AuthenticationError, MasterNotFoundError)):
            ask_sentinels(deployment)
        found = ask_sentinels(deployment, password="two")
        assert found == ("127.0.0.1", deployment.master().port)
        write(deployment.fail_over(), "a")


def keys_in(server: RedisServer, slot: int) -> list[bytes]:
    with server.client(protocol=2) as client:
        return list(client.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 10))


def test_a_client_finds_every_part_of_the_cluster(redis_cluster: ClusterDeployment) -> None:
    host, port = redis_cluster.hosts[0]
    with redis.RedisCluster(host, port) as client:
        for number in range(20):
            assert client.set(f"deployments:{number}", number)
            assert client.delete(f"deployments:{number}") == 1
        assert {node.port for node in client.get_primaries()} == {
            port for _, port in redis_cluster.hosts
        }


@pytest.fixture(scope="module")
def own_cluster() -> Iterator[ClusterDeployment]:
    """A cluster to break, with a replica and a password."""
    with ClusterDeployment(replica=True, password="secret") as cluster:
        yield cluster


def test_a_slot_that_migrates_takes_its_keys_along(own_cluster: ClusterDeployment) -> None:
    slot = own_cluster.slot_of("{tag}")
    source = own_cluster.node_of(slot)
    target = next(node for node in own_cluster.masters if node is not source)
    for number in range(250):
        write(source, f"{{tag}}{number}")
    own_cluster.migrate_slot(slot, target)
    assert own_cluster.node_of(slot) is target
    assert keys_in(source, slot) == []
    with source.client() as client, pytest.raises(redis.exceptions.MovedError):
        client.get("{tag}1")
    with target.client() as client:
        assert client.get("{tag}249") == b"1"


def test_a_test_may_stop_in_the_middle_of_a_migration(own_cluster: ClusterDeployment) -> None:
    slot = own_cluster.slot_of("{half}")
    source = own_cluster.node_of(slot)
    target = next(node for node in own_cluster.masters if node is not source)
    write(source, "{half}a")
    write(source, "{half}b")
    own_cluster.begin_migration(slot, target)
    own_cluster.move_keys(slot, target, "{half}a")
    assert own_cluster.node_of(slot) is source
    assert keys_in(source, slot) == [b"{half}b"]
    assert keys_in(target, slot) == [b"{half}a"]
    with source.client() as client:
        with pytest.raises(redis.exceptions.AskError):
            client.get("{half}a")
        # Redis 6.2 says so only at the target.
        with pytest.raises((redis.exceptions.AskError, redis.exceptions.TryAgainError)):
            client.mget("{half}a", "{half}b")
    own_cluster.move_keys(slot, target)
    own_cluster.end_migration(slot, target)
    assert own_cluster.node_of(slot) is target
    assert sorted(keys_in(target, slot)) == [b"{half}a", b"{half}b"]


def test_the_replica_of_a_cluster_takes_over_when_told_and_when_its_master_dies(
    own_cluster: ClusterDeployment,
) -> None:
    old = own_cluster.replicated_master()
    new = own_cluster.fail_over()
    assert new not in (old, None)
    assert old not in own_cluster.masters
    assert own_cluster.replicated_master() is new
    assert own_cluster.kill_master() is old
    assert not new.is_running
    assert old in own_cluster.masters


def test_a_cluster_of_the_bundled_binary_works_too() -> None:
    with ClusterDeployment(binary=find_bundled_redis_server()) as cluster:
        slot = cluster.slot_of("a")
        write(cluster.node_of(slot), "a")
        target = next(node for node in cluster.masters if node is not cluster.node_of(slot))
        cluster.migrate_slot(slot, target)
        assert keys_in(target, slot) == [b"a"]
