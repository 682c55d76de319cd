"""The buffer between the reader and one connection."""

from __future__ import annotations

import asyncio

from channels.interface.mailbox import MESSAGE_OVERHEAD, Mailbox


async def test_messages_come_out_in_order_and_free_their_place() -> None:
    overflows: list[bool] = []
    mailbox = Mailbox("a", 2, 10_000, lambda: overflows.append(True))
    for number in range(10):
        mailbox.put({"text": str(number)})
        assert await mailbox.get() == {"text": str(number)}
    assert overflows == []
    assert repr(mailbox) == "<Mailbox a messages=0 bytes=0>"


async def test_a_waiting_reader_gets_what_arrives() -> None:
    mailbox = Mailbox("a", 2, 10_000, lambda: None)
    reader = asyncio.create_task(mailbox.get())
    await asyncio.sleep(0)
    mailbox.put({"bytes": b"x"})
    assert await reader == {"bytes": b"x"}


async def test_it_holds_its_limits_exactly_and_overflows_once() -> None:
    overflows: list[str] = []
    by_count = Mailbox("a", 2, 10_000, lambda: overflows.append("count"))
    by_bytes = Mailbox("a", 100, MESSAGE_OVERHEAD + 3, lambda: overflows.append("bytes"))
    for _ in range(2):
        by_count.put({})
    by_bytes.put({"content": b"123"})
    assert overflows == []
    for _ in range(3):
        by_count.put({})
    assert overflows == ["count"]
    by_bytes.put({})
    assert overflows == ["count", "bytes"]
