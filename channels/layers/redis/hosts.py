"""Where Redis is, and how to connect: from the layer's configuration to pools of redis-py."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import redis
import redis.asyncio
import redis.asyncio.retry
import redis.backoff
import redis.retry

from ..base import BLOCK_SECONDS
from .pools import LoopPool, Pool

#: Seconds to wait for a connection to be made.
CONNECT_SECONDS = 2.0

#: Seconds to wait for an answer; a blocking receive waits for less on the server.
ANSWER_SECONDS = 10.0

#: Connections at the most for everything but blocking receives; as many again for these, so
#: that blocked receivers never keep a sender waiting.
MAX_CONNECTIONS = 100

SCHEMES = ("redis://", "rediss://", "unix://")

HostSpec = str | tuple[str, int] | Mapping[str, Any]


@dataclass(frozen=True, eq=False, repr=False)
class Host:
    """One server: its URL or its keywords for redis-py, and the keywords for every server."""

    url: str | None
    keywords: dict[str, Any]
    shared: dict[str, Any]

    def __repr__(self) -> str:
        return f"<Host {self.address}>"

    @functools.cached_property
    def address(self) -> str:
        """Which server it is, for people to read: never with a password."""
        options = self._model(redis).connection_kwargs
        if "path" in options:
            return f"unix://{options['path']}"
        return f"{options.get('host', 'localhost')}:{options.get('port', 6379)}"

    @functools.cached_property
    def block_seconds(self) -> float:
        """How long to wait on the server: less than redis-py waits for an answer."""
        timeout = self._model(redis).connection_kwargs.get("socket_timeout")
        return BLOCK_SECONDS if timeout is None else min(BLOCK_SECONDS, timeout / 2)

    def check(self, settings: str) -> None:
        """Raise ``ValueError``, naming the ``settings``, if redis-py cannot use this."""
        try:
            connection = _connector(self._model(redis))()
        except (TypeError, ValueError) as error:
            raise ValueError(f"{settings} cannot be used by redis-py: {error}.") from error
        if str(connection.protocol) != "2":
            raise ValueError(
                f"{settings} must not set protocol to {connection.protocol!r}: leave it out, as "
                "the layer needs protocol 2."
            )

    def make_pool(self) -> Pool:
        """A pool of blocking connections, for threads."""
        model = self._model(redis)
        return Pool(_connector(model), model.max_connections)

    def make_loop_pool(self) -> LoopPool:
        """A pool of asyncio connections, for the running event loop."""
        model = self._model(redis.asyncio)
        answer_seconds = model.connection_kwargs["socket_timeout"]
        return LoopPool(_connector(model), model.max_connections, answer_seconds)

    # The types of redis-py's pools differ from release to release.

    def _model(self, library: Any) -> Any:
        """A pool of redis-py, which knows how to connect."""
        retry = redis.retry.Retry if library is redis else redis.asyncio.retry.Retry
        options = self._options(retry)
        if self.url is not None:
            return library.ConnectionPool.from_url(self.url, **options)
        # A client knows which kind of connection its keywords ask for (TLS, a Unix socket).
        return library.Redis(**options).connection_pool

    def _options(self, retry_class: type[Any]) -> dict[str, Any]:
        """The keywords of redis-py, ours included where nothing else is configured.

        No command may be repeated by redis-py, as a repeated push is a message sent twice.
        With protocol 3 it does not notice that the server has closed an idle connection.
        """
        given = {**self.shared, **self.keywords}
        retry = given.pop("retry", None)
        if not isinstance(retry, retry_class):
            retry = retry_class(redis.backoff.NoBackoff(), 0)
        ours = {
            "socket_timeout": ANSWER_SECONDS,
            "socket_connect_timeout": CONNECT_SECONDS,
            "protocol": 2,
            "max_connections": MAX_CONNECTIONS,
        }
        return {**ours, **given, "retry": retry, "decode_responses": False}


def parse_hosts(
    hosts: Sequence[HostSpec] | None,
    connection_kwargs: Mapping[str, Any] | None,
    default_port: int = 6379,
) -> list[Host]:
    """The servers of a layer's ``hosts`` and ``connection_kwargs``; ``ValueError`` if wrong."""
    if hosts is None:
        hosts = [("localhost", default_port)]
    if isinstance(hosts, str | bytes | Mapping):
        raise ValueError(f"hosts must be a list, such as [{hosts!r}], not {hosts!r}.")
    if not isinstance(hosts, Sequence):
        raise ValueError(f"hosts must be a list of servers, not {hosts!r}.")
    if not hosts:
        raise ValueError(
            f"hosts is empty: name one server, or leave it out for localhost:{default_port}."
        )
    if not isinstance(connection_kwargs, Mapping | None):
        raise ValueError(
            f"connection_kwargs must be a dict of redis-py's keywords, not {connection_kwargs!r}."
        )
    shared = dict(connection_kwargs or {})
    parsed = [_parse_host(host, shared) for host in hosts]
    for number, host in enumerate(parsed):
        host.check(f"hosts[{number}] or connection_kwargs")
    return parsed


def _parse_host(host: HostSpec, shared: dict[str, Any]) -> Host:
    if isinstance(host, str):
        if not host.startswith(SCHEMES):
            raise ValueError(f"{host!r} in hosts is no URL: it must start with {_either()}.")
        return Host(host, {}, shared)
    if isinstance(host, Mapping):
        return Host(None, dict(host), shared)
    if isinstance(host, list | tuple) and len(host) == 2:
        name, port = host
        if isinstance(name, str) and str(port).isdecimal():
            return Host(None, {"host": name, "port": int(port)}, shared)
    raise ValueError(
        f"{host!r} in hosts is neither a URL, nor a (host, port) pair, nor a dict of redis-py's "
        "keywords."
    )


def _either() -> str:
    return ", ".join(SCHEMES[:-1]) + f" or {SCHEMES[-1]}"


def _connector(model: Any) -> Callable[[], Any]:
    return functools.partial(model.connection_class, **model.connection_kwargs)
