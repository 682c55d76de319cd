"""Who gets a message, in which order, and for how long."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from .base import (
    PATIENCE,
    InThread,
    LayerCase,
    drain,
    in_time,
    numbers,
    receive_soon,
    receive_soon_async,
)


class DeliveryCases(LayerCase):
    def test_the_attributes_of_a_layer_are_there(self) -> None:
        layer = self.new_layer()
        assert isinstance(layer.extensions, list)
        assert isinstance(layer.local_only, bool)
        assert issubclass(layer.ChannelFull, Exception)
        assert issubclass(layer.MessageTooLarge, Exception)
        assert layer.expiry > 0
        assert layer.capacity > 0
        if "groups" in layer.extensions:
            assert layer.group_expiry > 0

    def test_a_message_is_received_once(self) -> None:
        layer = self.new_layer()
        layer.send("channel", {"n": 1})
        assert layer.receive(["channel"]) == ("channel", {"n": 1})
        assert layer.receive(["channel"]) == (None, None)

    def test_without_a_message_a_receive_that_does_not_block_returns_at_once(self) -> None:
        layer = self.new_layer()
        durations = []
        for _ in range(10):
            start = time.monotonic()
            assert layer.receive(["channel"]) == (None, None)
            durations.append(time.monotonic() - start)
        # Others may take the machine's time now and then.
        assert min(durations) < 0.5

    def test_receive_takes_any_iterable(self) -> None:
        layer = self.new_layer()
        layer.send("b", {"n": 1})
        assert layer.receive(name for name in ("a", "b")) == ("b", {"n": 1})

    def test_receive_of_no_channels_gives_nothing(self) -> None:
        layer = self.new_layer()
        assert layer.receive([]) == (None, None)
        assert layer.receive([], block=True) == (None, None)

    def test_receive_many_is_receive(self) -> None:
        layer = self.new_layer()
        layer.send("channel", {"n": 1})
        layer.send("channel", {"n": 2})
        assert layer.receive_many(["channel"]) == ("channel", {"n": 1})
        assert layer.receive_many(["channel"], block=True) == ("channel", {"n": 2})
        assert layer.receive_many(["channel"]) == (None, None)

    def test_channels_keep_order(self) -> None:
        layer = self.new_layer()
        for name, reader in (("a?b", "a?b"), ("p!s", "p!"), ("plain", "plain")):
            for n in range(50):
                layer.send(name, {"n": n})
            assert numbers(layer, reader) == list(range(50))

    def test_a_process_receives_all_its_channels_in_order_with_their_names(self) -> None:
        layer = self.new_layer()
        sent = [(f"ws.P!s{n % 3}", {"n": n}) for n in range(10)]
        for name, message in sent:
            layer.send(name, message)
        layer.send("ws.Q!s0", {"n": 99})
        layer.send("ws.P", {"n": 98})
        assert drain(layer, "ws.P!") == sent
        assert drain(layer, "ws.Q!") == [("ws.Q!s0", {"n": 99})]

    def test_single_reader_channels_are_apart(self) -> None:
        layer = self.new_layer()
        layer.send("a?1", {"n": 1})
        layer.send("a?2", {"n": 2})
        assert numbers(layer, "a?2") == [2]
        assert numbers(layer, "a?1") == [1]

    def test_a_busy_channel_starves_no_other(self) -> None:
        layer = self.new_layer()
        names = ["busy.1", "quiet", "busy.2"]
        for _ in range(100):
            layer.send("busy.1", {})
            layer.send("busy.2", {})
        layer.send("quiet", {})
        served = [layer.receive(names)[0] for _ in range(100)]
        assert "quiet" in served

    def test_every_kind_of_channel_is_served_in_one_receive(self) -> None:
        layer = self.new_layer()
        for name in ("plain", "a?b", "p!s"):
            layer.send(name, {"to": name})
        found = dict(drain(layer, "plain", "a?b", "p!"))
        assert found == {name: {"to": name} for name in ("plain", "a?b", "p!s")}

    def test_a_blocking_receive_returns_what_is_there(self) -> None:
        layer = self.new_layer()
        layer.send("p!s", {"n": 1})
        assert layer.receive(["other", "p!"], block=True) == ("p!s", {"n": 1})

    def test_a_blocking_receive_returns_from_time_to_time(self) -> None:
        layer = self.new_layer()
        reader = InThread(layer.receive, ["channel"], True)
        assert reader.outcome() == (None, None)

    def test_a_blocked_receive_gets_what_is_sent_meanwhile(self) -> None:
        layer = self.new_layer()
        for name, reader in (("plain", "plain"), ("a?b", "a?b"), ("p!s", "p!")):
            waiting = InThread(receive_soon, layer, ["nothing", reader])
            layer.send(name, {"n": 1})
            assert waiting.outcome() == (name, {"n": 1})

    def test_a_blocked_receive_gets_what_is_sent_to_its_group(self) -> None:
        layer = self.new_layer("groups")
        layer.group_add("group", "p!s")
        waiting = InThread(receive_soon, layer, ["p!"])
        layer.send_group("group", {"n": 1})
        assert waiting.outcome() == ("p!s", {"n": 1})

    def test_many_readers_get_every_message_exactly_once(self) -> None:
        layer = self.new_layer()
        count, readers = 200, 4

        def read() -> list[int]:
            found: list[int] = []
            while True:
                _, message = receive_soon(layer, ["channel"])
                if message["n"] < 0:
                    return found
                found.append(message["n"])

        threads = [InThread(read) for _ in range(readers)]
        for n in range(count):
            layer.send("channel", {"n": n})
        for _ in range(readers):
            layer.send("channel", {"n": -1})
        assert sorted(n for thread in threads for n in thread.outcome()) == list(range(count))


class ExpiryCases(LayerCase):
    def test_an_unread_message_expires(self) -> None:
        layer = self.new_layer(expiry=self.short_expiry)
        for name in ("plain", "a?b", "p!s"):
            layer.send(name, {"n": 1})
        self.let_expire()
        assert drain(layer, "plain", "a?b", "p!") == []

    @in_time
    def test_an_expired_message_is_not_given_to_a_blocking_receive(self) -> None:
        layer = self.new_layer(expiry=self.short_expiry)
        layer.send("channel", {"n": 1})
        self.let_expire(0.55)
        layer.send("channel", {"n": 2})
        self.let_expire(0.55)
        assert layer.receive(["channel"], block=True) == ("channel", {"n": 2})

    @in_time
    def test_later_messages_do_not_prolong_earlier_ones(self) -> None:
        layer = self.new_layer(expiry=self.short_expiry)
        for n in range(3):
            layer.send("channel", {"n": n})
            self.let_expire(0.55)
        assert numbers(layer, "channel") == [2]

    @in_time
    def test_expired_messages_do_not_use_capacity(self) -> None:
        layer = self.new_layer(expiry=self.short_expiry, capacity=2)
        for n in range(20):
            layer.send(f"other.{n}", {})
        for name in ("plain", "p!s"):
            layer.send(name, {"n": 1})
            layer.send(name, {"n": 2})
        self.let_expire()
        for name, reader in (("plain", "plain"), ("p!s", "p!")):
            layer.send(name, {"n": 3})
            layer.send(name, {"n": 4})
            with self.refuses(error=layer.ChannelFull):
                layer.send(name, {"n": 5})
            assert numbers(layer, reader) == [3, 4]


class AsyncCases(LayerCase):
    def test_receive_async_returns_what_is_there(self) -> None:
        layer = self.new_layer("async")
        layer.send("p!s", {"n": 1})
        assert asyncio.run(layer.receive_async(["other", "p!"])) == ("p!s", {"n": 1})

    def test_receive_async_returns_with_nothing_from_time_to_time(self) -> None:
        layer = self.new_layer("async")

        async def receive() -> Any:
            return await asyncio.wait_for(layer.receive_async(["channel"]), PATIENCE)

        assert asyncio.run(receive()) == (None, None)
        assert asyncio.run(layer.receive_async([])) == (None, None)

    def test_receive_async_gets_what_another_thread_sends(self) -> None:
        layer = self.new_layer("async")

        async def receive() -> Any:
            waiting = asyncio.ensure_future(receive_soon_async(layer, ["channel"]))
            await asyncio.sleep(0.05)
            await asyncio.to_thread(layer.send, "channel", {"n": 1})
            return await waiting

        assert asyncio.run(receive()) == ("channel", {"n": 1})

    def test_a_blocked_thread_gets_what_a_coroutine_sends(self) -> None:
        layer = self.new_layer("async")
        if not hasattr(layer, "send_async"):
            self.skipTest("this layer has no send_async")
        waiting = InThread(receive_soon, layer, ["channel"])
        asyncio.run(layer.send_async("channel", {"n": 1}))
        assert waiting.outcome() == ("channel", {"n": 1})

    def test_send_async_keeps_the_rules_of_send(self) -> None:
        layer = self.new_layer("async", capacity=1, max_message_size=1000)
        if not hasattr(layer, "send_async"):
            self.skipTest("this layer has no send_async")

        async def send() -> None:
            await layer.send_async("channel", {"n": 1})
            with self.refuses("channel", "1", error=layer.ChannelFull):
                await layer.send_async("channel", {"n": 2})
            with self.refuses():
                await layer.send_async("bad name", {})
            with self.refuses('content["o"]'):
                await layer.send_async("channel", {"o": object()})
            with self.refuses(error=layer.MessageTooLarge):
                await layer.send_async("other", {"x": "y" * 2000})

        asyncio.run(send())
        assert numbers(layer, "channel") == [1]

    def test_receive_async_refuses_bad_names(self) -> None:
        layer = self.new_layer("async")
        for name in ("bad name", "p!s", "a?"):
            with self.refuses():
                asyncio.run(layer.receive_async([name]))

    def test_each_event_loop_can_use_the_layer(self) -> None:
        layer = self.new_layer("async")
        for n in range(3):
            layer.send("channel", {"n": n})
            assert asyncio.run(layer.receive_async(["channel"])) == ("channel", {"n": n})

    def test_a_cancelled_receive_loses_no_message_and_keeps_order(self) -> None:
        layer = self.new_layer("async")

        async def receive() -> list[int]:
            found: list[int] = []
            for n in range(40):
                waiting = asyncio.ensure_future(layer.receive_async(["p!"]))
                await asyncio.sleep(0.001 * (n % 3))
                await asyncio.to_thread(layer.send, "p!s", {"n": n})
                waiting.cancel()
                outcome: Any = (await asyncio.gather(waiting, return_exceptions=True))[0]
                if not isinstance(outcome, asyncio.CancelledError) and outcome[0]:
                    found.append(outcome[1]["n"])
            while len(found) < 40:
                _, message = await receive_soon_async(layer, ["p!"])
                found.append(message["n"])
            return found

        assert asyncio.run(receive()) == list(range(40))

    def test_a_receive_that_times_out_leaves_the_message_to_other_channels_readers(self) -> None:
        layer = self.new_layer("async")

        async def receive() -> Any:
            with self.refuses(error=asyncio.TimeoutError):
                await asyncio.wait_for(layer.receive_async(["a", "b"]), 0.05)
            await asyncio.to_thread(layer.send, "a", {"n": 1})
            return await receive_soon_async(layer, ["a", "c"])

        assert asyncio.run(receive()) == ("a", {"n": 1})

    def test_a_message_for_a_cancelled_receiver_goes_to_another(self) -> None:
        layer = self.new_layer("async")

        async def receive() -> Any:
            first = asyncio.ensure_future(layer.receive_async(["channel"]))
            await asyncio.sleep(0.05)
            second = asyncio.ensure_future(receive_soon_async(layer, ["channel"]))
            await asyncio.sleep(0.05)
            layer.send("channel", {"n": 1})
            first.cancel()
            outcome: Any = (await asyncio.gather(first, return_exceptions=True))[0]
            if not isinstance(outcome, asyncio.CancelledError):
                second.cancel()
                await asyncio.gather(second, return_exceptions=True)
                return outcome
            return await second

        assert asyncio.run(receive()) == ("channel", {"n": 1})
