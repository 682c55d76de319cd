"""What workers reply, checked: the only place that trusts nothing about a reply's shape."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..types import Content

HEADER_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
FORBIDDEN_IN_VALUE = re.compile(rb"[\x00\r\n]")

#: Statuses whose responses have no body in HTTP: content that comes with them is dropped.
BODILESS = (204, 304)

SOCKET_KEYS = {"accept", "text", "bytes", "close", "subprotocol", "reason"}

#: Close codes that may be sent, besides 3000 to 4999. The others below 3000 are reserved, or
#: only describe what happened (1005, 1006, 1015).
CLOSE_CODES = {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014}

#: Bytes of a close reason: a control frame holds 125, two of which are the code.
MAX_REASON = 123


class MalformedReply(Exception):
    """A reply that does not mean anything; says why."""


Header = tuple[bytes, bytes]


@dataclass(frozen=True)
class ResponseStart:
    """The head of a response."""

    status: int
    headers: list[Header]


@dataclass(frozen=True)
class ResponsePart:
    """A part of a response's content."""

    content: bytes
    more: bool


class SocketReply(NamedTuple):
    """What a reply asks of a socket; ``notes`` say what in it was ignored."""

    accept: bool | None
    data: str | bytes | None
    close: int | None
    subprotocol: str | None
    reason: str
    notes: tuple[str, ...] = ()


def response_start(message: Content) -> ResponseStart:
    """The head in the first reply to a request; raises ``MalformedReply``."""
    status = message.get("status")
    if isinstance(status, bool) or not isinstance(status, int) or not 200 <= status <= 599:
        raise MalformedReply(f"'status' must be a number from 200 to 599, not {status!r}")
    headers = message.get("headers") or []
    if not isinstance(headers, (list, tuple)):
        raise MalformedReply(f"'headers' must be a list of pairs, not {headers!r}")
    return ResponseStart(status, [_header(item) for item in headers])


def response_part(message: Content, first: bool) -> ResponsePart:
    """The content in a reply to a request; raises ``MalformedReply``."""
    if not first and "status" in message:
        raise MalformedReply("a second reply with a 'status', while the first one is not complete")
    content = message.get("content")
    if content is None:
        content = b""
    if not isinstance(content, bytes):
        raise MalformedReply(f"'content' must be bytes, not {type(content).__name__}")
    more = message.get("more_content") or False
    if not isinstance(more, bool):
        raise MalformedReply(f"'more_content' must be True or False, not {more!r}")
    bodiless = first and message["status"] in BODILESS
    return ResponsePart(b"" if bodiless else content, more)


def socket_reply(message: Content) -> SocketReply:
    """A reply to a socket; raises ``MalformedReply``."""
    notes = [f"unknown key {key!r}" for key in message if key not in SOCKET_KEYS]
    text, data = _typed(message, "text", str), _typed(message, "bytes", bytes)
    if text and data:
        note = "the whole reply, which has both 'text' and 'bytes'"
        return SocketReply(None, None, None, None, "", (note,))
    reason, cut = _reason(_typed(message, "reason", str) or "")
    if cut:
        notes.append(f"what 'reason' has beyond {MAX_REASON} bytes")
    return SocketReply(
        accept=_typed(message, "accept", bool),
        data=text or data or None,
        close=_close_code(message.get("close")),
        subprotocol=_typed(message, "subprotocol", str) or None,
        reason=reason,
        notes=tuple(notes),
    )


def _header(item: Any) -> Header:
    if not isinstance(item, (list, tuple)) or len(item) != 2:
        raise MalformedReply(f"a header must be a pair of name and value, not {item!r}")
    name, value = _latin1(item[0]), _latin1(item[1])
    if not HEADER_NAME.fullmatch(name):
        raise MalformedReply(f"{name!r} cannot be the name of a header")
    if FORBIDDEN_IN_VALUE.search(value):
        raise MalformedReply(f"the header {name!r} has a line break or a NUL in its value")
    return name.lower(), value


def _latin1(value: Any) -> bytes:
    try:
        return value if isinstance(value, bytes) else str.encode(value, "latin-1")
    except (TypeError, UnicodeEncodeError):
        raise MalformedReply(
            f"names and values of headers must be bytes or Latin-1 text, not {value!r}"
        ) from None


def _typed(message: Content, key: str, kind: type) -> Any:
    value = message.get(key)
    if value is None or isinstance(value, kind):
        return value
    raise MalformedReply(f"{key!r} must be of the type {kind.__name__}, not {value!r}")


def _close_code(value: Any) -> int | None:
    if value is None or value is False or value == 0:
        return None
    if value is True:
        return 1000
    if isinstance(value, int) and (value in CLOSE_CODES or 3000 <= value <= 4999):
        return value
    raise MalformedReply(f"'close' must be True or a close code that may be sent, not {value!r}")


def _reason(text: str) -> tuple[str, bool]:
    """``text`` as far as it fits, and whether that cut something off."""
    encoded = text.encode("utf-8", "replace")
    return encoded[:MAX_REASON].decode("utf-8", "ignore"), len(encoded) > MAX_REASON
