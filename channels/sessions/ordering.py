"""Running the consumers of a socket in the order of its messages."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, overload

from ..decorators import AnyConsumer, consumer_decorator
from ..exceptions import ConsumeLater
from ..message import Message
from ..pending import pending_message_store
from .gaps import expiry_of, pass_over_if_lost
from .opening import opened_channel_session
from .parking import NEXT_ORDER, current_turn, park, release
from .store import ChannelSession
from .watch import watch

logger = logging.getLogger("django.channels")

#: Orders are smaller than this, or no layer could carry them.
ORDER_LIMIT = 2**63


@overload
def enforce_ordering(func: AnyConsumer, slight: bool = False) -> AnyConsumer: ...


@overload
def enforce_ordering(
    func: None = None, slight: bool = False
) -> Callable[[AnyConsumer], AnyConsumer]: ...


def enforce_ordering(func: Any = None, slight: bool = False) -> Any:
    """Decorator: the consumers of one socket run one after the other, in the order of messages.

    Put it outside of other decorators, on all consumers of a socket, with or without brackets.
    A message that comes too early waits for its turn. A consumer that takes longer than the
    layer's ``expiry`` may be overtaken, as messages that do not come within that time are given
    up. Raises ``ValueError`` for ``slight``, and, when it runs, for messages without an
    ``order``.
    """
    if slight:
        raise ValueError(
            "enforce_ordering(slight=True): slight ordering, connect before everything else, is "
            "always on; remove the decorator, or leave 'slight' out for strict ordering."
        )
    return _ordered if func is None else _ordered(func)


def _in_turn(message: Message, run: Callable[[], Any]) -> Any:
    order = _order_of(message)
    if getattr(message, "__had_turn__", False):
        # The decorator stands here twice, or a demultiplexer passes the message on.
        return run()
    with opened_channel_session(message) as session:
        turn = session.get(NEXT_ORDER, 0)
        if order == turn:
            return _take_turn(message, session, order, run)
        # Only the consumer whose turn it is may write the session.
        session.modified = False
        if order > turn:
            _wait_for_turn(message, session, order)
        else:
            logger.error(
                "Message %d of %s is dropped: it was given up before it came, and the next one "
                "is %d.",
                order,
                message.reply_channel,
                turn,
            )
    return None


_ordered = consumer_decorator("enforce_ordering", _in_turn)


def _order_of(message: Message) -> int:
    order = message.get("order")
    if not isinstance(order, int) or isinstance(order, bool) or not 0 <= order < ORDER_LIMIT:
        raise ValueError(
            f"enforce_ordering needs an 'order' (0, 1, ...) in every message, and {message!r} has "
            f"{order!r}: decorate consumers of websocket messages only, and use "
            "WSClient(ordered=True) in tests."
        )
    return order


def _take_turn(
    message: Message, session: ChannelSession, order: int, run: Callable[[], Any]
) -> Any:
    message.__had_turn__ = True  # type: ignore[attr-defined]
    started = time.monotonic()
    is_over = True
    try:
        return run()
    except ConsumeLater:
        # On its last try a message is not put back.
        is_over = getattr(message, "__doomed__", False)
        raise
    finally:
        if is_over:
            was_slow = time.monotonic() - started > expiry_of(message)
            _end_turn(message, session, order, was_slow)


def _end_turn(message: Message, session: ChannelSession, order: int, was_slow: bool) -> None:
    _send_held()
    turn = order + 1
    if was_slow:
        # Others may have passed this one over, and must not be repeated.
        turn = max(turn, current_turn(message))
    session[NEXT_ORDER] = turn
    session.save_anyway()
    release(message, turn)


def _send_held() -> None:
    """Send what the consumer sent, before the next one of the socket may run and send."""
    if pending_message_store.active:
        pending_message_store.send_and_flush()
        pending_message_store.prepare()


def _wait_for_turn(message: Message, session: ChannelSession, order: int) -> None:
    park(message)
    message.__parked__ = True  # type: ignore[attr-defined]
    turn = current_turn(message)
    if not session.stored:
        return  # released at once, and the socket has ended since
    if turn >= order:
        release(message, turn)
        return
    pass_over_if_lost(message, turn)
    if message.channel is not None and message.channel.name == "websocket.disconnect":
        watch.add(message, turn)
