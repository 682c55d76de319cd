"""A Redis Cluster, for tests."""

from __future__ import annotations

from typing import Any

from .redis_deployments import Deployment, is_in_sync, is_master
from .redis_server import RedisServer, wait_until

#: The hash slots of every cluster.
SLOTS = 16384

#: The fewest masters that can agree on one of them being gone.
MASTERS = 3


class ClusterDeployment(Deployment):
    """Three masters, if need be with one ``replica``, of the first of them.

    A node counts as gone when it has said nothing for ``node_timeout`` milliseconds.
    """

    def __init__(
        self,
        *,
        replica: bool = False,
        node_timeout: int = 1500,
        password: str | None = None,
        binary: str | None = None,
    ) -> None:
        super().__init__(password=password, binary=binary)
        self.nodes: list[RedisServer] = []
        self._has_replica = replica
        self._node_timeout = node_timeout

    @property
    def hosts(self) -> list[tuple[str, int]]:
        """Where the nodes are, as hosts and ports; the replica is the last."""
        return [("127.0.0.1", node.port) for node in self.nodes]

    @property
    def masters(self) -> list[RedisServer]:
        return [node for node in self._running_nodes() if is_master(node)]

    def replicated_master(self) -> RedisServer:
        """The master that has the replica now."""
        return next(node for node in self._pair() if node in self.masters)

    def slot_of(self, key: str) -> int:
        return int(self._running_nodes()[0].ask("CLUSTER", "KEYSLOT", key))

    def node_of(self, slot: int) -> RedisServer:
        """The master that has a slot; until a migration ends, the one that gives it away."""
        return self._find_owner(slot, self._running_nodes()[0])

    def migrate_slot(self, slot: int, target: RedisServer) -> None:
        """Give a slot, with its keys, to another master."""
        self.begin_migration(slot, target)
        self.move_keys(slot, target)
        self.end_migration(slot, target)

    def begin_migration(self, slot: int, target: RedisServer) -> None:
        """From now on keys that are not there are asked for, and made, at the target."""
        source = self.node_of(slot)
        target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", _id(source))
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", _id(target))

    def move_keys(self, slot: int, target: RedisServer, *keys: str) -> None:
        """Move keys of a slot that migrates: all of them, if none are given."""
        source = self.node_of(slot)
        if keys:
            self._move(keys, source, target)
            return
        while found := source.ask("CLUSTER", "GETKEYSINSLOT", slot, 100):
            self._move(found, source, target)

    def end_migration(self, slot: int, target: RedisServer) -> None:
        """Tell all masters who has the slot now, first the new one and the old one."""
        source = self.node_of(slot)
        others = [node for node in self.masters if node not in (target, source)]
        for node in (target, source, *others):
            node.ask("CLUSTER", "SETSLOT", slot, "NODE", _id(target))
        wait_until(
            lambda: all(self._find_owner(slot, seer) is target for seer in self._running_nodes()),
            "all nodes know where the slot is",
        )

    def fail_over(self) -> RedisServer:
        """Make the replica a master and its master the replica; returns the new master."""
        old = self.replicated_master()
        new = next(node for node in self._pair() if node is not old)
        new.ask("CLUSTER", "FAILOVER")
        self._wait_for_takeover(old, new)
        wait_until(lambda: is_in_sync(old), "the old master has become a replica")
        return new

    def kill_master(self) -> RedisServer:
        """Kill the master that has the replica, and wait until that has taken over.

        Returns the new master. The killed one becomes its replica once it is started again.
        """
        old = self.replicated_master()
        new = next(node for node in self._pair() if node is not old)
        old.kill()
        self._wait_for_takeover(old, new)
        return new

    def _set_up(self) -> None:
        count = MASTERS + self._has_replica
        for epoch in range(1, count + 1):
            node = self._start_server(
                "cluster-enabled yes",
                "cluster-announce-ip 127.0.0.1",
                f"cluster-node-timeout {self._node_timeout}",
                "cluster-replica-validity-factor 0",
                "repl-diskless-sync yes",
                "repl-diskless-sync-delay 0",
                "repl-ping-replica-period 1",
            )
            # One each, as otherwise they begin with a quarrel about who is right.
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", epoch)
            self.nodes.append(node)
        for number, node in enumerate(self.nodes[:MASTERS]):
            first, end = SLOTS * number // MASTERS, SLOTS * (number + 1) // MASTERS
            node.ask("CLUSTER", "ADDSLOTS", *range(first, end))
        for node in self.nodes[1:]:
            node.ask("CLUSTER", "MEET", "127.0.0.1", self.nodes[0].port)
        if self._has_replica:
            self._make_replica(self.nodes[0], self.nodes[-1])
        wait_until(lambda: all(map(self._is_ready, self.nodes)), "the cluster is ready")

    def _make_replica(self, master: RedisServer, replica: RedisServer) -> None:
        # An error until they have met.
        wait_until(lambda: replica.ask("CLUSTER", "REPLICATE", _id(master)), "two nodes have met")
        wait_until(lambda: is_in_sync(replica), "the replica is in sync")

    def _is_ready(self, node: RedisServer) -> bool:
        """Whether all slots are served, as this node sees it, and the replica is known."""
        replicas = sum(len(others) for _, _, _, *others in node.ask("CLUSTER", "SLOTS"))
        return _is_ok(node) and replicas == self._has_replica

    def _running_nodes(self) -> list[RedisServer]:
        return [node for node in self.nodes if node.is_running]

    def _pair(self) -> tuple[RedisServer, RedisServer]:
        """The master with the replica, and the replica, or the other way round."""
        assert self._has_replica, "Ask for ClusterDeployment(replica=True)."
        return self.nodes[0], self.nodes[-1]

    def _find_owner(self, slot: int, seer: RedisServer) -> RedisServer:
        """The master of a slot, as one of the nodes sees it."""
        for first, last, (_, port, *_), *_ in seer.ask("CLUSTER", "SLOTS"):
            if first <= slot <= last:
                return next(node for node in self.nodes if node.port == port)
        raise LookupError(f"Nobody has slot {slot}.")

    def _move(self, keys: Any, source: RedisServer, target: RedisServer) -> None:
        password = ["AUTH", self.password] if self.password else []
        source.ask("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, *password, "KEYS", *keys)

    def _wait_for_takeover(self, old: RedisServer, new: RedisServer) -> None:
        def sees_it(node: RedisServer) -> bool:
            masters = {port for _, _, (_, port, *_), *_ in node.ask("CLUSTER", "SLOTS")}
            return new.port in masters and old.port not in masters and _is_ok(node)

        wait_until(
            lambda: all(map(sees_it, self._running_nodes())), "all nodes know the new master"
        )


def _id(node: RedisServer) -> bytes:
    return bytes(node.ask("CLUSTER", "MYID"))


def _is_ok(node: RedisServer) -> bool:
    return b"cluster_state:ok" in node.ask("CLUSTER", "INFO")
