"""How much memory messages take, roughly, for the buffers that must be bounded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Bytes that a message counts besides its payload, so that empty messages are bounded too.
MESSAGE_OVERHEAD = 512

#: The keys of a message whose values may be large.
PAYLOADS = ("content", "text", "bytes", "body")


def size_of(message: Mapping[str, Any]) -> int:
    """The bytes that ``message`` counts; text counts by its characters."""
    size = MESSAGE_OVERHEAD
    for key in PAYLOADS:
        payload = message.get(key)
        if isinstance(payload, (str, bytes)):
            size += len(payload)
    return size
