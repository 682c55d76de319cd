"""What only the in-memory layer promises."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from channels.layers import InMemoryChannelLayer
from channels.test.layer_cases.base import PATIENCE, InThread
from channels.types import Sending

from ..redis_server import wait_until


def wait_for_waiters(layer: InMemoryChannelLayer, count: int) -> None:
    end = time.monotonic() + 5
    while len(layer._waiters) != count:
        assert time.monotonic() < end, f"{len(layer._waiters)} wait, not {count}"
        time.sleep(0.001)


async def waiters(layer: InMemoryChannelLayer, count: int) -> None:
    """Let the loop go on until so many receive."""
    async with asyncio.timeout(PATIENCE):
        while len(layer._waiters) != count:
            await asyncio.sleep(0)


async def soon(outcome: asyncio.Future[Any]) -> Any:
    return await asyncio.wait_for(outcome, PATIENCE)


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Receives wait for so long that who is not woken up counts as lost."""
    monkeypatch.setattr("channels.layers.memory.BLOCK_SECONDS", 100 * PATIENCE)


def test_it_is_local() -> None:
    assert InMemoryChannelLayer().local_only is True


def test_the_repr_tells_how_much_is_in_it() -> None:
    layer = InMemoryChannelLayer()
    layer.send("a", {})
    layer.group_add("g", "a")
    assert repr(layer) == "<InMemoryChannelLayer: 1 queues, 1 groups>"


@pytest.mark.usefixtures("endless")
def test_a_blocked_thread_wakes_at_once() -> None:
    layer = InMemoryChannelLayer()
    reader = InThread(layer.receive, ["a", "p!"], True)
    wait_for_waiters(layer, 1)
    layer.send("p!s", {"n": 1})
    assert reader.outcome() == ("p!s", {"n": 1})
    wait_for_waiters(layer, 0)


@pytest.mark.usefixtures("endless")
def test_a_coroutine_in_another_loop_wakes_at_once() -> None:
    layer = InMemoryChannelLayer()
    reader = InThread(lambda: asyncio.run(layer.receive_async(["a", "p!"])))
    wait_for_waiters(layer, 1)
    layer.send("a", {"n": 1})
    assert reader.outcome() == ("a", {"n": 1})


@pytest.mark.usefixtures("endless")
def test_a_group_send_wakes_as_many_readers_as_it_has_targets() -> None:
    layer = InMemoryChannelLayer()
    for socket in "abc":
        layer.group_add("group", f"p!{socket}")
    readers = [InThread(layer.receive, ["p!"], True) for _ in range(3)]
    wait_for_waiters(layer, 3)
    layer.send_group("group", {"n": 1})
    assert sorted(reader.outcome()[0] for reader in readers) == ["p!a", "p!b", "p!c"]


def test_one_message_wakes_one_reader_and_the_others_go_on_waiting() -> None:
    layer = InMemoryChannelLayer()
    readers = [InThread(layer.receive, ["a"], True) for _ in range(3)]
    wait_for_waiters(layer, 3)
    layer.send("a", {"n": 1})
    outcomes = [reader.outcome() for reader in readers]
    assert sorted(outcomes, key=str) == [("a", {"n": 1}), (None, None), (None, None)]


@pytest.mark.usefixtures("endless")
async def test_the_wake_up_of_a_cancelled_reader_passes_to_another() -> None:
    layer = InMemoryChannelLayer()
    first = asyncio.ensure_future(layer.receive_async(["a"]))
    await waiters(layer, 1)
    second = asyncio.ensure_future(layer.receive_async(["a"]))
    await waiters(layer, 2)
    layer.send("a", {"n": 1})
    first.cancel()
    assert await soon(second) == ("a", {"n": 1})
    assert first.cancelled()


@pytest.mark.usefixtures("endless")
async def test_a_reader_that_takes_another_message_passes_its_wake_up_on(
    monkeypatch: Any,
) -> None:
    layer = InMemoryChannelLayer()
    monkeypatch.setattr("channels.layers.memory.random.randrange", lambda _: 1)
    both = asyncio.ensure_future(layer.receive_async(["a", "b"]))
    await waiters(layer, 1)
    only_a = asyncio.ensure_future(layer.receive_async(["a"]))
    await waiters(layer, 2)
    layer.send("a", {"n": 1})
    layer.send("b", {"n": 2})
    assert await soon(both) == ("b", {"n": 2})
    assert await soon(only_a) == ("a", {"n": 1})


@pytest.mark.usefixtures("endless")
async def test_a_woken_reader_that_came_too_late_goes_on_waiting() -> None:
    layer = InMemoryChannelLayer()
    reader = asyncio.ensure_future(layer.receive_async(["a"]))
    await waiters(layer, 1)
    layer.send("a", {"n": 1})
    assert layer.receive(["a"]) == ("a", {"n": 1})
    await waiters(layer, 1)
    assert not reader.done()
    layer.send("a", {"n": 2})
    assert await soon(reader) == ("a", {"n": 2})


@pytest.mark.usefixtures("endless")
def test_a_reader_in_a_loop_that_is_gone_takes_no_wake_up() -> None:
    layer = InMemoryChannelLayer()
    loop = asyncio.new_event_loop()
    abandoned = loop.create_task(layer.receive_async(["a"]))
    loop.run_until_complete(waiters(layer, 1))
    abandoned._log_destroy_pending = False  # type: ignore[attr-defined]
    loop.close()
    reader = InThread(layer.receive, ["a"], True)
    wait_for_waiters(layer, 2)
    layer.send("a", {"n": 1})
    assert reader.outcome() == ("a", {"n": 1})


def test_a_reader_in_a_loop_that_stands_still_takes_no_wake_up_after_its_time(
    monkeypatch: Any,
) -> None:
    layer = InMemoryChannelLayer()
    loop = asyncio.new_event_loop()
    frozen = loop.create_task(layer.receive_async(["a"]))
    loop.run_until_complete(waiters(layer, 1))
    monkeypatch.setattr("channels.layers.memory.BLOCK_SECONDS", 100 * PATIENCE)
    reader = InThread(layer.receive, ["a"], True)
    wait_for_waiters(layer, 2)
    [waiter, _] = layer._waiters._by_queue["a"]
    wait_until(waiter.is_over, "its time is up")
    layer.send("a", {"n": 1})
    assert reader.outcome() == ("a", {"n": 1})
    assert loop.run_until_complete(frozen) == (None, None)
    loop.close()


@pytest.mark.usefixtures("endless")
def test_a_thread_that_is_interrupted_while_it_waits_passes_its_wake_up_on(
    monkeypatch: Any,
) -> None:
    layer = InMemoryChannelLayer()

    def interrupt(waiter: object) -> None:
        layer.send("a", {"n": 1})
        raise KeyboardInterrupt

    reader = InThread(layer.receive, ["a", "b"], True)
    wait_for_waiters(layer, 1)
    monkeypatch.setattr("channels.layers.memory.ThreadWaiter.wait", interrupt)
    layer.send("b", {"n": 0})
    assert reader.outcome() == ("b", {"n": 0})
    interrupted = InThread(layer.receive, ["a"], True)
    try:
        interrupted.outcome()
    except KeyboardInterrupt:
        pass
    else:
        raise AssertionError("not interrupted")
    wait_for_waiters(layer, 0)
    assert layer.receive(["a"]) == ("a", {"n": 1})


def test_messages_of_abandoned_channels_go_away_while_others_are_used() -> None:
    layer = InMemoryChannelLayer(expiry=0.1)
    for n in range(500):
        layer.send(f"abandoned?{n}", {})
    time.sleep(0.15)
    for _ in range(300):
        layer.send("used", {})
        layer.receive(["used"])
    assert len(layer._queues) == 0


def test_sends_alone_clear_up_too() -> None:
    layer = InMemoryChannelLayer(expiry=0.05)
    for n in range(200):
        layer.send(f"abandoned?{n}", {})
    time.sleep(0.1)
    for _ in range(200):
        layer.send("used", {})
    assert list(layer._queues) == ["used"]


def test_abandoned_groups_go_away_while_others_are_used() -> None:
    layer = InMemoryChannelLayer(group_expiry=0.1)
    for n in range(500):
        layer.group_add(f"abandoned.{n}", f"p!{n}")
    time.sleep(0.15)
    for _ in range(300):
        layer.group_add("used", "p!0")
    assert len(layer._groups) == 1
    assert list(layer._groups_of) == ["p!0"]


def test_nothing_is_left_of_what_was_read_and_discarded() -> None:
    layer = InMemoryChannelLayer()
    for n in range(100):
        layer.group_add("group", f"p!{n}")
        layer.send(f"a?{n}", {})
        layer.receive([f"a?{n}"])
    layer.send_group("group", {})
    for n in range(100):
        layer.receive(["p!"])
        layer.group_discard("group", f"p!{n}")
    assert not layer._queues
    assert not layer._groups
    assert not layer._groups_of
    assert not layer._waiters._by_queue


def test_a_process_that_reads_late_stays_in_its_groups() -> None:
    layer = InMemoryChannelLayer(expiry=0.05)
    layer.group_add("group", "p!s")
    layer.send("p!s", {})
    time.sleep(0.1)
    assert layer.receive(["p!"]) == (None, None)
    assert layer.group_channels("group") == ["p!s"]


def test_the_cost_of_a_message_does_not_grow_with_the_number_of_channels() -> None:
    def cost(layer: InMemoryChannelLayer) -> float:
        start = time.process_time()
        for _ in range(2000):
            layer.send("used", {})
            layer.receive(["used"])
        return time.process_time() - start

    empty, crowded = InMemoryChannelLayer(), InMemoryChannelLayer()
    for n in range(20000):
        crowded.send(f"other?{n}", {})
        crowded.group_add(f"group{n}", "p!s")
    assert min(cost(crowded) for _ in range(3)) < 5 * min(cost(empty) for _ in range(3))


def test_threads_and_loops_share_the_load_without_losing_anything() -> None:
    layer = InMemoryChannelLayer(capacity=10000)
    found: list[int] = []
    lock = threading.Lock()
    count = 2000

    def note(message: Any) -> bool:
        if message is not None and message["n"] >= 0:
            with lock:
                found.append(message["n"])
        return message is None or message["n"] >= 0

    def read() -> None:
        while note(layer.receive(["a", "p!"], block=True)[1]):
            pass

    async def read_async() -> None:
        while note((await layer.receive_async(["p!", "a"]))[1]):
            pass

    readers = [InThread(read) for _ in range(3)]
    readers += [InThread(lambda: asyncio.run(read_async())) for _ in range(3)]
    for n in range(count):
        layer.send("a" if n % 2 else "p!s", {"n": n})
    end = time.monotonic() + 10
    while len(found) < count and time.monotonic() < end:
        time.sleep(0.005)
    for _ in readers:
        layer.send("a", {"n": -1})
    for reader in readers:
        reader.outcome()
    assert sorted(found) == list(range(count))


@pytest.mark.parametrize(
    ("config", "name"),
    [
        ({"capacity": "10"}, "capacity"),
        ({"expiry": None}, "expiry"),
        ({"group_expiry": True}, "group_expiry"),
        ({"max_message_size": "1M"}, "max_message_size"),
        ({"channel_capacity": {"http.*": "5"}}, "channel_capacity"),
    ],
)
def test_a_figure_that_is_no_number_is_refused_at_once(config: dict[str, Any], name: str) -> None:
    with pytest.raises(ValueError, match=rf"^{name}.* must be a number"):
        InMemoryChannelLayer(**config)


@pytest.mark.parametrize("name", ["capacity", "channel_capacity"])
def test_a_part_of_a_message_is_no_capacity(name: str) -> None:
    config: Any = {name: 2.5 if name == "capacity" else {"http.*": 2.5}}
    with pytest.raises(ValueError, match=rf"^{name}.* must be a whole number, not 2\.5"):
        InMemoryChannelLayer(**config)


def test_one_name_instead_of_a_list_of_names_is_a_type_error() -> None:
    with pytest.raises(TypeError, match=r"write \['websocket.connect'\]"):
        InMemoryChannelLayer().receive("websocket.connect")


# Several sends, and several messages, in one call


def test_what_is_sent_together_stays_together() -> None:
    layer = InMemoryChannelLayer(capacity=10000)

    def send(sender: int) -> None:
        for _ in range(20):
            layer.send_many([Sending("a", {"from": sender, "n": n}) for n in range(50)])

    for thread in [InThread(send, sender) for sender in range(3)]:
        thread.outcome()
    found = [layer.receive(["a"])[1] for _ in range(3000)]
    for start in range(0, 3000, 50):
        sender = found[start]["from"]
        assert found[start : start + 50] == [{"from": sender, "n": n} for n in range(50)]


def test_a_subclass_that_changes_send_sees_what_is_sent_together() -> None:
    class Counting(InMemoryChannelLayer):
        seen: tuple[str, ...] = ()

        def send(self, channel: str, message: Any) -> None:
            self.seen += (channel,)
            super().send(channel, message)

    layer = Counting()
    assert layer.send_many([Sending("a", {}), Sending("b", {})]) == [None, None]
    assert layer.seen == ("a", "b")


async def test_a_batch_has_a_limit_and_the_rest_comes_with_the_next(monkeypatch: Any) -> None:
    monkeypatch.setattr("channels.layers.memory.BATCH_LIMIT", 10)
    layer = InMemoryChannelLayer()
    for n in range(25):
        layer.send("p!s" if n % 2 else "q!s", {"n": n})
    sizes = [len(await layer.receive_batch_async(["p!", "q!"])) for _ in range(3)]
    assert sizes == [10, 10, 5]
    assert not layer._queues


async def test_all_queues_of_a_process_come_in_one_batch() -> None:
    layer = InMemoryChannelLayer()
    for n in range(3):
        layer.send("http.P!s", {"n": n})
        layer.send("ws.P!s", {"n": n})
    batch = await layer.receive_batch_async(["http.P!", "ws.P!"])
    for name in ("http.P!s", "ws.P!s"):
        assert [message["n"] for channels, message in batch if channels == [name]] == [0, 1, 2]


@pytest.mark.parametrize("first", [0, 1])
async def test_what_another_process_may_take_comes_one_at_a_time(
    monkeypatch: Any, first: int
) -> None:
    monkeypatch.setattr("channels.layers.memory.random.randrange", lambda _: first)
    layer = InMemoryChannelLayer()
    for n in range(2):
        layer.send("a", {"n": n})
        layer.send("p!s", {"n": n})
    batches = [await layer.receive_batch_async(["a", "p!"]) for _ in range(3)]
    of_process = [(["p!s"], {"n": 0}), (["p!s"], {"n": 1})]
    others = [[(["a"], {"n": 0})], [(["a"], {"n": 1})]]
    assert batches == ([of_process, *others] if first else [*others, of_process])


@pytest.mark.usefixtures("endless")
async def test_who_limits_a_batch_leaves_the_rest_to_another_that_waits(monkeypatch: Any) -> None:
    monkeypatch.setattr("channels.layers.memory.BATCH_LIMIT", 2)
    layer = InMemoryChannelLayer()
    readers = [asyncio.ensure_future(layer.receive_batch_async(["p!"])) for _ in range(2)]
    await waiters(layer, 2)
    layer.send_many([Sending("p!s", {"n": n}) for n in range(4)])
    batches = await soon(asyncio.gather(*readers))
    assert sorted(message["n"] for batch in batches for _, message in batch) == [0, 1, 2, 3]


async def test_members_that_were_served_singly_are_not_in_the_batch() -> None:
    layer = InMemoryChannelLayer()
    for member in ("p!a", "p!b", "p!c"):
        layer.group_add("group", member)
    layer.send_group("group", {"n": 1})
    assert layer.receive(["p!"]) == ("p!a", {"n": 1})
    assert await layer.receive_batch_async(["p!"]) == [(["p!b", "p!c"], {"n": 1})]


async def test_a_late_batch_leaves_the_process_in_its_groups() -> None:
    layer = InMemoryChannelLayer(expiry=0.05)
    layer.group_add("group", "p!s")
    layer.send("p!s", {})
    await asyncio.sleep(0.1)
    assert await layer.receive_batch_async(["p!"]) == []
    assert layer.group_channels("group") == ["p!s"]
