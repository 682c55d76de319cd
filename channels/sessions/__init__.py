"""Sessions of sockets and of the browsers behind them, and the order of a socket's messages."""

from .decorators import channel_and_http_session, channel_session, http_session
from .ordering import enforce_ordering
from .parking import requeue_messages, wait_channel_name
from .store import session_for_reply_channel

__all__ = [
    "channel_and_http_session",
    "channel_session",
    "enforce_ordering",
    "http_session",
    "requeue_messages",
    "session_for_reply_channel",
    "wait_channel_name",
]
