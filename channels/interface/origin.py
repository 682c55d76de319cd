"""Which web sites may open sockets here: the Origin check of the WebSocket handshake."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

from .. import conf
from .events import Scope

DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}

#: Origins without a host: sandboxed or local pages, and files.
HOSTLESS = ("null", "file://")


class Origin(NamedTuple):
    """A web site; in patterns ``None`` stands for any scheme or any port."""

    scheme: str | None
    host: str
    port: int | None


def refusal(scope: Scope) -> str | None:
    """Why the handshake in ``scope`` is refused, with the setting to change, else ``None``."""
    origins = _values(scope, b"origin")
    if not origins:
        return None
    setting, allowed = _allowed()
    if "*" in allowed:
        return None
    text = origins[0].decode("latin-1")
    if len(origins) > 1:
        return "it has several Origin headers"
    if text in HOSTLESS:
        return None if text in allowed else _not_allowed(text, setting)
    origin = _parse(text)
    if origin is None:
        return f"its Origin {text!r} is malformed"
    if _is_same_host(origin, scope) or any(_matches(origin, entry) for entry in allowed):
        return None
    return _not_allowed(text, setting)


def _not_allowed(text: str, setting: str) -> str:
    return (
        f"its Origin {text!r} is neither this host nor in {setting}; add the origin or its host "
        "to CHANNELS_ALLOWED_ORIGINS if that site may open sockets here"
    )


def _allowed() -> tuple[str, list[str]]:
    """The name of the setting that decides, and its entries."""
    origins = conf.allowed_origins()
    if origins is None:
        return "ALLOWED_HOSTS", conf.allowed_hosts()
    return "CHANNELS_ALLOWED_ORIGINS", origins


def _values(scope: Scope, name: bytes) -> list[bytes]:
    return [bytes(value) for key, value in scope["headers"] if bytes(key).lower() == name]


def _parse(text: str) -> Origin | None:
    """``scheme://host[:port]``, the port made explicit where the scheme has a default."""
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    rest = parts.path or parts.query or parts.fragment or parts.username or parts.password
    if not parts.scheme or not host or rest or not text.isascii():
        return None
    return Origin(parts.scheme, _plain(host), port or DEFAULT_PORTS.get(parts.scheme))


def _is_same_host(origin: Origin, scope: Scope) -> bool:
    """Whether the page came from the host that the handshake goes to.

    A Host header without a port means the default port of the scheme that the browser used.
    That is the Origin's, while the scope's may be what a proxy in front uses.
    """
    hosts = _values(scope, b"host")
    if len(hosts) != 1:
        return False
    return _parse(f"{origin.scheme}://{hosts[0].decode('latin-1')}") == origin


def _matches(origin: Origin, entry: str) -> bool:
    pattern = _pattern(entry)
    return (
        pattern is not None
        and pattern.scheme in (None, origin.scheme)
        and pattern.port in (None, origin.port)
        and _host_matches(origin.host, pattern.host)
    )


def _pattern(entry: str) -> Origin | None:
    """A host (any scheme, any port unless it has one) or an origin (exact), else ``None``."""
    if "://" in entry:
        return _parse(entry)
    try:
        parts = urlsplit("//" + entry if entry.count(":") < 2 or "[" in entry else f"//[{entry}]")
        return Origin(None, _plain(parts.hostname or ""), parts.port)
    except ValueError:
        return None


def _host_matches(host: str, pattern: str) -> bool:
    domain = pattern.removeprefix("*")
    if domain.startswith("."):
        return host.endswith(domain) or host == domain[1:]
    return host == pattern


def _plain(host: str) -> str:
    return host.lower().removesuffix(".")
