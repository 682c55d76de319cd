"""The channel layer on a Redis Cluster."""

from __future__ import annotations

import binascii
import dataclasses
import itertools
from collections.abc import Hashable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from redis.exceptions import RedisError

from .command import Command
from .directory import Directory, Place, ask_once, code_of
from .errands import Location, Redirect
from .hosts import Host, HostSpec, parse_hosts
from .layer import RedisChannelLayer

#: The hash slots of every cluster.
SLOTS = 16384

#: Shards of a layer: one, two or three of them for each master of a small cluster.
SHARDS = 6

#: How far from the middle of its part of all slots the slot of a shard may be.
MIDDLE = 1 / 16

#: More shards than this are no use, and cost every receiver as many connections.
MOST_SHARDS = 16


class RedisClusterChannelLayer(RedisChannelLayer):
    """A ``RedisChannelLayer`` on a Redis Cluster.

    Takes the arguments of ``RedisChannelLayer``, with these differences:

    ``hosts``
        Some nodes of the cluster, of which one must be reached to find the others. What the
        first of them says beside its address (TLS, credentials) goes for all nodes.
    ``prefix``, ``stats_prefix``
        Without ``{``, as the layer puts a hash tag of its own behind them.
    ``shards``
        In how many parts the layer is, 1 to 16, each with all of its keys in one slot. All
        processes must use the same number.
    """

    def __init__(
        self,
        hosts: Sequence[HostSpec] | None = None,
        *arguments: Any,
        shards: int = SHARDS,
        **options: Any,
    ) -> None:
        if isinstance(shards, bool) or not isinstance(shards, int):
            raise ValueError(f"shards must be a number, not {shards!r}.")
        if not 1 <= shards <= MOST_SHARDS:
            raise ValueError(f"shards must be 1 to {MOST_SHARDS}, not {shards}.")
        self._tags = make_tags(shards)
        super().__init__(hosts, *arguments, **options)

    def _place_shards(
        self, hosts: Sequence[Any] | None, connection_kwargs: Mapping[str, Any] | None
    ) -> list[tuple[Location, str]]:
        for setting in ("prefix", "stats_prefix"):
            if "{" in getattr(self, setting):
                raise ValueError(
                    f"{setting} must be without '{{', as the layer puts a hash tag of its own "
                    f"behind it, not {getattr(self, setting)!r}."
                )
        seeds = parse_hosts(hosts, connection_kwargs)
        self._addresses = [seed.address for seed in seeds]
        self._block_seconds = seeds[0].block_seconds
        if seeds[0].address.startswith("unix:"):
            raise ValueError(
                f"hosts begins with {seeds[0].address}: the nodes of a cluster have ports, so "
                "name one by its host and port."
            )
        slots = [slot_of(tag) for tag in self._tags]
        self._directory = Nodes(seeds, slots)
        places = [Place(self._directory, slot) for slot in slots]
        return [(place, f"{{{tag}}}") for place, tag in zip(places, self._tags, strict=True)]

    def after_fork(self) -> None:
        super().after_fork()
        self._directory.unlock()


class Nodes(Directory):
    """Which nodes have the given slots, as any node tells."""

    def __init__(self, seeds: Sequence[Host], slots: Sequence[int]) -> None:
        super().__init__(seeds)
        self._seeds = seeds
        self._slots = slots

    def redirect(self, key: Hashable, error: RedisError, host: Host) -> Redirect | None:
        code = code_of(error)
        if code == "TRYAGAIN":
            return Redirect()
        if code not in ("MOVED", "ASK"):
            return super().redirect(key, error, host)
        name, _, port = str(error).split(" ")[-1].rpartition(":")
        node = self._node(name, int(port), host)
        if code == "MOVED":
            self._found[key] = node
        return Redirect(node, asking=code == "ASK")

    def _make_host(self, name: str, port: int) -> Host:
        return at_address(self._seeds[0], name, port)

    def _node(self, name: str, port: int, asked: Host) -> Host:
        """A node, as the ``asked`` one names it, which may say that its address is the same."""
        return self._at(asked.address.rpartition(":")[0] if name in ("", "?") else name, port)

    def _read(self, source: Host) -> dict[Hashable, Host]:
        [ranges] = ask_once(source, [Command("CLUSTER", "SLOTS")])
        found: dict[Hashable, Host] = {}
        for first, last, (name, port, *_), *_ in ranges:
            for slot in self._slots:
                if first <= slot <= last:
                    found[slot] = self._node((name or b"").decode(), port, source)
        self._sources = (source, *dict.fromkeys([*found.values(), *self._seeds]))
        self._first = 0
        return found

    def _describe(self, key: Hashable) -> str:
        return (
            f"No node of the cluster tells who has slot {key}: hosts must name nodes that can be "
            "reached, of a cluster that has all its slots."
        )


def at_address(model: Host, name: str, port: int) -> Host:
    """A server like ``model`` at another address."""
    if model.url is None:
        keywords = {**model.keywords, "host": name, "port": port}
        return dataclasses.replace(model, keywords=keywords)
    parts = urlsplit(model.url)
    credentials, at, _ = parts.netloc.rpartition("@")
    name = f"[{name}]" if ":" in name else name
    url = parts._replace(netloc=f"{credentials}{at}{name}:{port}").geturl()
    return dataclasses.replace(model, url=url)


def slot_of(tag: str) -> int:
    """The slot of all keys that have this hash tag."""
    return binascii.crc_hqx(tag.encode(), 0) % SLOTS


def make_tags(count: int) -> list[str]:
    """Hash tags whose slots are in the middle of equal parts of all slots, one in each part.

    These are the first numbers for which that is so. They must never change, as processes of
    different releases share a layer.
    """
    return [_make_tag(SLOTS * part / count, SLOTS / count) for part in range(count)]


def _make_tag(first: float, size: float) -> str:
    def is_in_the_middle(tag: str) -> bool:
        return abs(slot_of(tag) - first - size / 2) <= max(size * MIDDLE, 1)

    return next(filter(is_in_the_middle, map(str, itertools.count())))
