"""What HTTP requests and WebSocket handshakes have in common: their scope, as a message."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote_to_bytes

from ..types import Content
from .events import Scope


class BadRequest(Exception):
    """The request cannot be expressed as a message."""


def content_of(scope: Scope, root_path: str | None) -> Content:
    """The keys that every first message of a connection has.

    ``root_path`` replaces the scope's, unless it is ``None``. Raises ``BadRequest`` for a path
    or a query string that is not UTF-8.
    """
    _check_text(scope)
    return {
        "http_version": scope.get("http_version", "1.1"),
        "path": scope["path"],
        "query_string": bytes(scope.get("query_string", b"")),
        "root_path": root_path if root_path is not None else scope.get("root_path") or "",
        "headers": headers_of(scope),
        "client": _address(scope.get("client")),
        "server": _address(scope.get("server")),
    }


def headers_of(scope: Scope) -> list[list[bytes]]:
    """The headers, names in lower case.

    Those with ``_`` are dropped: in ``META`` they could not be told from ones with ``-`` that
    a proxy has checked.
    """
    return [
        [bytes(name).lower(), bytes(value)] for name, value in scope["headers"] if b"_" not in name
    ]


def client_of(scope: Scope) -> str | None:
    """The client as ``host:port``, for logs."""
    address = _address(scope.get("client"))
    return f"{address[0]}:{address[1]}" if address else None


def _check_text(scope: Scope) -> None:
    raw_path = scope.get("raw_path")
    try:
        if raw_path is None:
            scope["path"].encode("utf-8")
        else:
            unquote_to_bytes(bytes(raw_path).partition(b"?")[0]).decode("utf-8")
    except UnicodeError:
        raise BadRequest("the path is not UTF-8") from None
    try:
        bytes(scope.get("query_string", b"")).decode("utf-8")
    except UnicodeError:
        raise BadRequest("the query string is not UTF-8") from None


def _address(value: Any) -> list[Any] | None:
    """``[host, port]``; ``None`` too for addresses without a port, such as Unix sockets."""
    if not value or value[1] is None:
        return None
    return [value[0], value[1]]
