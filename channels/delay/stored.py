"""Message contents as JSON text: how the database keeps them."""

from __future__ import annotations

import base64
import json
from typing import Any

from ..layers import codec
from ..types import Content

#: The one key of a stored content that JSON cannot carry as it is: its value is the content in
#: the layers' wire format, in base64.
PACKED = "__packed__"


def dump(content: Content) -> str:
    """``content`` as JSON text, in ASCII.

    Bytes and numbers as keys survive. Raises ``TypeError`` for a content that cannot travel
    through a channel layer, naming the place of what is wrong.
    """
    packed = codec.encode(content)
    text = _plain_json(content)
    if text is None:
        text = json.dumps({PACKED: base64.b64encode(packed).decode("ascii")})
    return text


def load(text: str) -> Content:
    """The content that ``text`` holds; ``ValueError`` when it holds none."""
    try:
        content = json.loads(text)
        if _is_packed(content):
            content = codec.decode(base64.b64decode(content[PACKED], validate=True))
    except Exception as error:
        raise ValueError(f"Its stored content cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"Its stored content is no JSON object: {text[:80]}")
    return content


def _plain_json(content: Content) -> str | None:
    """``content`` as JSON that reads back as the same, or ``None``."""
    try:
        text = json.dumps(content, allow_nan=False)
        same = json.loads(text) == content
    except (TypeError, ValueError, RecursionError):
        return None
    return text if same and not _is_packed(content) else None


def _is_packed(content: Any) -> bool:
    return isinstance(content, dict) and content.keys() == {PACKED}
