"""The decorators that class-based consumers ask for by their attributes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..auth import (
    channel_and_http_session_user_from_http,
    channel_session_user,
    channel_session_user_from_http,
)
from ..sessions import channel_session, enforce_ordering

Handler = Callable[..., Any]

#: The attributes and what each of them stands for, the outermost decorator first. Of one line
#: only the first attribute that is set counts: it gives what those after it give, and more.
#: Ordering comes first, so that a parked message has no user looked up.
DECORATORS: tuple[dict[str, Callable[[Handler], Handler]], ...] = (
    {"strict_ordering": enforce_ordering},
    {
        "http_user_and_session": channel_and_http_session_user_from_http,
        "http_user": channel_session_user_from_http,
        "channel_session_user": channel_session_user,
        "channel_session": channel_session,
    },
)


def decorate(handler: Handler, owner: object) -> Handler:
    """``handler`` in the decorators that the attributes of ``owner`` ask for."""
    for alternatives in reversed(DECORATORS):
        for attribute, decorator in alternatives.items():
            if getattr(owner, attribute, False):
                handler = decorator(handler)
                break
    return handler
