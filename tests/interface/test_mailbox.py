"""The buffer between the reader and one connection."""

from __future__ import annotations

import asyncio

import pytest

from channels.interface.mailbox import Mailbox, Reply
from channels.interface.reply_format import MalformedReply
from channels.interface.sizes import MESSAGE_OVERHEAD


async def test_replies_come_out_in_order_and_free_their_place() -> None:
    overflows: list[bool] = []
    mailbox = Mailbox("a", 2, 10_000, lambda: overflows.append(True))
    for number in range(10):
        mailbox.put(Reply({"text": str(number)}))
        assert (await mailbox.get()).content == {"text": str(number)}
    assert overflows == []
    assert repr(mailbox) == "<Mailbox a messages=0 bytes=0>"


async def test_a_waiting_reader_gets_what_arrives() -> None:
    mailbox = Mailbox("a", 2, 10_000, lambda: None)
    reader = asyncio.create_task(mailbox.get())
    await asyncio.sleep(0)
    replies = [Reply({"bytes": b"x"}), Reply({"bytes": b"y"})]
    for reply in replies:
        mailbox.put(reply)
    assert await reader is replies[0]
    assert await mailbox.get() is replies[1]


async def test_a_reader_that_was_cancelled_loses_nothing() -> None:
    mailbox = Mailbox("a", 2, 10_000, lambda: None)
    reader = asyncio.create_task(mailbox.get())
    await asyncio.sleep(0)
    reader.cancel()
    reply = Reply({"text": "x"})
    mailbox.put(reply)
    await asyncio.wait({reader})
    assert reader.cancelled()
    assert await mailbox.get() is reply


async def test_it_holds_its_limits_exactly_and_overflows_once() -> None:
    overflows: list[str] = []
    by_count = Mailbox("a", 2, 10_000, lambda: overflows.append("count"))
    by_bytes = Mailbox("a", 100, MESSAGE_OVERHEAD + 3, lambda: overflows.append("bytes"))
    for _ in range(2):
        by_count.put(Reply({}))
    by_bytes.put(Reply({"content": b"123"}))
    assert overflows == []
    for _ in range(3):
        by_count.put(Reply({}))
    assert overflows == ["count"]
    by_bytes.put(Reply({}))
    assert overflows == ["count", "bytes"]


async def test_a_reply_is_understood_once_for_all_its_sockets() -> None:
    reply = Reply({"text": "x"})
    assert reply.for_socket.data == "x"
    assert reply.for_socket is reply.for_socket
    assert repr(reply) == f"<Reply text bytes={MESSAGE_OVERHEAD + 1}>"
    with pytest.raises(MalformedReply):
        assert Reply({"text": 1}).for_socket
