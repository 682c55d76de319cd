"""Messages as bytes: the wire format that every layer of ours shares.

An encoded message is one byte that names the wire format, then the message in msgpack. The
byte is the place where other formats (the encrypted one, and later ones) are told apart.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import msgpack  # type: ignore[import-untyped]

from ..types import Content

#: The format that ``encode`` writes.
WIRE_VERSION = 1

#: The format of messages that are encrypted, see ``encryption.py``.
ENCRYPTED_VERSION = 2

#: How deep lists and dicts may nest: what Python's recursion bears also deep in other code.
NESTING_LIMIT = 100

INT_MIN, INT_MAX = -(2**63), 2**63 - 1
ATOMS = frozenset({str, bytes, bool, float, type(None)})
LISTS, KEYS, PLAIN = (list, tuple), (str, int), (str, bytes, float)
VERSION_BYTE = bytes([WIRE_VERSION])

#: Packers that nobody uses just now: to make one takes longer than to pack a message.
packers: list[Any] = []

#: Bytes of a message whose packer is not kept, as it keeps as much memory.
LARGE = 1024 * 1024


class Packed(Mapping[str, Any]):
    """A message in its wire format, which is decoded when somebody looks into it.

    Layers take it in place of a dict.
    """

    __slots__ = ("_content", "data")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._content: Content | None = None

    def __repr__(self) -> str:
        return f"<Packed {self.content!r}>"

    @property
    def content(self) -> Content:
        if self._content is None:
            self._content = decode(self.data)
        return self._content

    def __getitem__(self, key: str) -> Any:
        return self.content[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.content)

    def __len__(self) -> int:
        return len(self.content)


def encode(message: Mapping[str, Any]) -> bytes:
    """``message``, a dict or ``Packed``, as bytes.

    Raises ``TypeError`` for something that is no dict, and for a key or value that cannot
    travel, naming its place in the message.
    """
    if type(message) is Packed:
        return message.data
    if isinstance(message, dict) and _items_can_travel(message, 0, (str,)):
        try:
            return VERSION_BYTE + _pack(message)
        except UnicodeEncodeError:
            pass
    raise TypeError(_find_refusal(message, "content", 0) or "This message cannot travel.")


def _pack(message: Content) -> bytes:
    try:
        packer = packers.pop()
    except IndexError:
        packer = msgpack.Packer()
    data: bytes = packer.pack(message)
    if len(data) < LARGE:
        packers.append(packer)
    return data


def decode(data: bytes) -> Content:
    """The message in ``data``; ``ValueError`` when it cannot be read."""
    check_version(data)
    if data[0] == ENCRYPTED_VERSION:
        raise ValueError(
            "A message came encrypted, but this layer has no symmetric_encryption_keys: give "
            "every process the same keys."
        )
    content: Content = msgpack.unpackb(memoryview(data)[1:], strict_map_key=False)
    return content


def check_version(data: bytes) -> None:
    """Raise ``ValueError`` unless ``data`` starts with the byte of a format known here."""
    if not data or data[0] not in (WIRE_VERSION, ENCRYPTED_VERSION):
        found = f"wire format {data[0]}" if data else "no wire format (it is empty)"
        raise ValueError(
            f"A message came in {found}, but this release of channels reads wire formats "
            f"{WIRE_VERSION} and {ENCRYPTED_VERSION}: run the same release in every process."
        )


# These run for every message, and so they are written for speed.


def _can_travel(value: Any, depth: int) -> bool:
    kind = type(value)
    if kind in ATOMS:
        return True
    if isinstance(value, int):
        return INT_MIN <= value <= INT_MAX
    if isinstance(value, dict):
        return depth < NESTING_LIMIT and _items_can_travel(value, depth, KEYS)
    if isinstance(value, LISTS):
        if depth >= NESTING_LIMIT:
            return False
        for item in value:
            if type(item) not in ATOMS and not _can_travel(item, depth + 1):
                return False
        return True
    return isinstance(value, PLAIN)


def _items_can_travel(value: dict[Any, Any], depth: int, keys: tuple[type, ...]) -> bool:
    for key, item in value.items():
        if type(key) is not str and not (isinstance(key, keys) and _can_travel(key, depth)):
            return False
        if type(item) not in ATOMS and not _can_travel(item, depth + 1):
            return False
    return True


def _find_refusal(value: Any, path: str, depth: int) -> str | None:
    """Why ``value`` cannot travel, or ``None`` when it can."""
    if depth == 0 and not isinstance(value, dict):
        return f"A message is a dict, not {type(value).__name__}: {value!r}."
    if isinstance(value, dict | list | tuple):
        if depth >= NESTING_LIMIT:
            return f"{path[:80]}...: values nested deeper than {NESTING_LIMIT} cannot travel."
        return _find_refusal_inside(value, path, depth)
    if isinstance(value, int):
        fits = INT_MIN <= value <= INT_MAX
        return None if fits else f"{path}: an int outside 64 bits (signed) cannot travel."
    if isinstance(value, str):
        return _find_surrogate(value, path)
    if value is None or isinstance(value, bytes | float):
        return None
    return (
        f"{path}: {type(value).__name__} cannot travel through a channel layer; messages hold "
        "bytes, str, int, float, bool, None, and lists and dicts of these."
    )


def _find_refusal_inside(
    value: dict[Any, Any] | list[Any] | tuple[Any, ...], path: str, depth: int
) -> str | None:
    if not isinstance(value, dict):
        found = (_find_refusal(v, f"{path}[{i}]", depth + 1) for i, v in enumerate(value))
        return next(filter(None, found), None)
    for key, item in value.items():
        refusal = _find_bad_key(key, path, depth) or _find_refusal(
            item, f"{path}[{_quote(key)}]", depth + 1
        )
        if refusal:
            return refusal
    return None


def _find_bad_key(key: Any, path: str, depth: int) -> str | None:
    permitted = isinstance(key, str) if depth == 0 else isinstance(key, str | int)
    if not permitted:
        allowed = "text" if depth == 0 else "text or int"
        return f"{path}: the key {key!r} is {type(key).__name__}, but keys must be {allowed}."
    return _find_refusal(key, f"{path}: the key {_quote(key)}", depth + 1)


def _find_surrogate(text: str, path: str) -> str | None:
    try:
        str.encode(text)
    except UnicodeEncodeError as error:
        return (
            f"{path}: text with the lone surrogate {error.object[error.start]!r} at position "
            f"{error.start} cannot travel, as it has no UTF-8 form."
        )
    return None


def _quote(key: Any) -> str:
    return json.dumps(key) if isinstance(key, str) else int.__repr__(key)
