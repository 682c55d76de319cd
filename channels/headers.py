"""Reading the HTTP headers that a message carries, whatever shape they are in."""

from __future__ import annotations

from typing import Any

from .message import Message


def header_values(message: Message, name: bytes) -> list[bytes]:
    """The values of every header of ``message`` called ``name``, which is in lower case.

    Headers may be a list of pairs or a dict, of bytes or text; what is neither is skipped.
    """
    headers = message.get("headers")
    pairs: Any = headers.items() if isinstance(headers, dict) else headers
    if not isinstance(headers, dict | list | tuple):
        return []
    return [value for key, value in map(_pair, pairs) if key == name and value is not None]


def _pair(header: Any) -> tuple[bytes | None, bytes | None]:
    if not isinstance(header, list | tuple) or len(header) != 2:
        return None, None
    name = _as_bytes(header[0])
    return name.lower() if name is not None else None, _as_bytes(header[1])


def _as_bytes(value: Any) -> bytes | None:
    if isinstance(value, str):
        return value.encode("latin-1", "replace")
    return value if isinstance(value, bytes) else None
