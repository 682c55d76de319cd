"""The channel layer on masters that Redis Sentinel watches."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from ...exceptions import ChannelLayerUnavailable
from .command import Command
from .directory import Directory, Place, ask_once
from .errands import Location
from .hosts import Host, HostSpec, parse_hosts
from .layer import RedisChannelLayer

#: Where a sentinel listens unless it was told otherwise.
SENTINEL_PORT = 26379


class RedisSentinelChannelLayer(RedisChannelLayer):
    """A ``RedisChannelLayer`` on masters that Sentinel watches, one shard each.

    Takes the arguments of ``RedisChannelLayer``, with these differences:

    ``hosts``
        The sentinels: URLs, ``(host, port)`` pairs, or dicts of redis-py's keywords, which also
        say how to connect to a sentinel, such as its ``password``. ``None``: localhost, port
        26379.
    ``services``
        A list of the names of the masters. ``None``: all that the sentinels know, which are
        asked as soon as the layer is made. The order does not matter.
    ``connection_kwargs``
        Keywords of redis-py for the connections to the masters alone.
    ``sentinel_refresh_interval``
        Seconds after which the sentinels are asked again, though all is well; 0 for never. They
        always are after a failure.

    All processes must use the same services.
    """

    def __init__(
        self,
        hosts: Sequence[HostSpec] | None = None,
        services: Sequence[str] | None = None,
        *arguments: Any,
        sentinel_refresh_interval: float = 0,
        **options: Any,
    ) -> None:
        self._services = services
        self._refresh_interval = check_interval(sentinel_refresh_interval)
        super().__init__(hosts, *arguments, **options)

    def _place_shards(
        self, hosts: Sequence[Any] | None, connection_kwargs: Mapping[str, Any] | None
    ) -> list[tuple[Location, str]]:
        sentinels = parse_hosts(hosts, None, SENTINEL_PORT)
        services = check_services(self._services) or find_services(sentinels)
        model = Host(None, {}, dict(connection_kwargs or {}))
        self._block_seconds = model.block_seconds
        self._addresses = [f"{service!r}" for service in services]
        self._directory = Masters(sentinels, services, model, self._refresh_interval)
        return [(Place(self._directory, service), "") for service in services]

    def after_fork(self) -> None:
        super().after_fork()
        self._directory.unlock()


class Masters(Directory):
    """Where the masters are, as the sentinels tell."""

    def __init__(
        self, sentinels: Sequence[Host], services: Sequence[str], model: Host, valid_seconds: float
    ) -> None:
        super().__init__(sentinels, valid_seconds)
        self._services = services
        self._model = model

    def _make_host(self, name: str, port: int) -> Host:
        return Host(None, {"host": name, "port": port}, self._model.shared)

    def _read(self, source: Host) -> dict[Hashable, Host]:
        commands = [
            Command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", service) for service in self._services
        ]
        return {
            service: self._at(answer[0].decode(), int(answer[1]))
            for service, answer in zip(self._services, ask_once(source, commands), strict=True)
            if answer
        }

    def _describe(self, key: Hashable) -> str:
        return (
            f"No sentinel tells where the master {key!r} is: services must name masters that the "
            "sentinels watch, and hosts sentinels that can be reached."
        )


def find_services(sentinels: Sequence[Host]) -> list[str]:
    """All masters that the first sentinel knows which answers, sorted by name."""
    reasons = []
    for sentinel in sentinels:
        try:
            [masters] = ask_once(sentinel, [Command("SENTINEL", "MASTERS")])
        except ChannelLayerUnavailable as error:
            reasons.append(str(error))
            continue
        if masters:
            # Each is a list of names and values in turn.
            return sorted(master[master.index(b"name") + 1].decode() for master in masters)
        reasons.append(f"{sentinel.address} watches no master.")
    raise ChannelLayerUnavailable(
        "No sentinel tells which masters there are: give their names as services, which lets the "
        f"layer start without. {' '.join(reasons)}"
    )


def check_services(services: object) -> list[str]:
    """The names in ``services``, sorted: none if they are to be asked for."""
    if services is None:
        return []
    if not isinstance(services, list | tuple) or not all(
        isinstance(service, str) and service for service in services
    ):
        raise ValueError(
            f"services must be a list of names of masters, such as ['main'], not {services!r}."
        )
    if not services or len(set(services)) < len(services):
        raise ValueError(
            f"services is {services!r}: name each master once, or leave it out for all masters "
            "that the sentinels know."
        )
    return sorted(services)


def check_interval(seconds: object) -> float:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds >= 0:
        raise ValueError(
            "sentinel_refresh_interval must be a number of seconds, or 0 for never, not "
            f"{seconds!r}."
        )
    return seconds
