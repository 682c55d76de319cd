"""The life of a WebSocket: its states, and the ways in which it ends."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from .events import Event

NORMAL = 1000
NO_STATUS_RECEIVED = 1005
ABNORMAL = 1006
TOO_BIG = 1009
INTERNAL_ERROR = 1011
SERVICE_RESTART = 1012
TRY_AGAIN_LATER = 1013


class State(enum.Enum):
    """Where a socket is in its life."""

    CONNECTING = "connecting"
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"


TRANSITIONS: dict[State, set[State]] = {
    State.CONNECTING: {State.OPEN, State.CLOSING, State.CLOSED},
    State.OPEN: {State.CLOSING, State.CLOSED},
    State.CLOSING: {State.CLOSED},
    State.CLOSED: set(),
}


class InvalidTransition(RuntimeError):
    """A socket cannot go from its state to the one asked for: an error in the interface."""


def transition(old: State, new: State) -> State:
    """``new``; raises ``InvalidTransition`` when it cannot follow ``old``."""
    if new not in TRANSITIONS[old]:
        raise InvalidTransition(f"A socket that is {old.value} cannot become {new.value}.")
    return new


@dataclass(frozen=True)
class Ending:
    """Why and how a socket ends.

    ``code`` and ``reason`` are the close frame's, ``status`` is the response's in case the
    handshake is not over. ``why`` goes to the log. ``by_client``: nothing more can be sent.
    """

    code: int = NORMAL
    reason: str = ""
    status: int = 403
    why: str = ""
    by_client: bool = False


SHUTDOWN = Ending(SERVICE_RESTART, status=503, why="the server shuts down")
HANDSHAKE_TIMEOUT = Ending(
    status=503, why="no worker accepted it within websocket_handshake_timeout"
)
TOO_OLD = Ending(why="it is older than websocket_timeout")
OVERFLOW = Ending(TRY_AGAIN_LATER, status=503, why="its client does not take what is sent to it")
FRAME_TOO_BIG = Ending(TOO_BIG, why="a frame is larger than max_frame_size")
RECEIVE_FULL = Ending(TRY_AGAIN_LATER, why="the channel websocket.receive is full")
CONNECT_FULL = Ending(status=503, why="the channel websocket.connect is full")
LAYER_FAILED = Ending(TRY_AGAIN_LATER, status=503, why="the channel layer failed")
LAYER_LIMIT = Ending(TOO_BIG, status=503, why="the channel layer takes no message of this size")
VANISHED = Ending(ABNORMAL, by_client=True)


def departure(event: Event) -> Ending:
    """The end of a socket whose ``websocket.disconnect`` event is ``event``."""
    code = event.get("code") or NO_STATUS_RECEIVED
    return Ending(code, event.get("reason") or "", by_client=True)
