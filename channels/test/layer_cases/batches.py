"""Several sends in one call, a worker's turn, and receiving all that waits for a process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import Any

from ...types import Sending
from ...utils import most_derived
from .base import PATIENCE, InThread, LayerCase, drain, in_time, numbers, receive_soon


class BatchCase(LayerCase):
    def new_layer_with(self, method: str, *needed: str, **config: Any) -> Any:
        layer = self.new_layer(*needed, **config)
        if not hasattr(layer, method):
            self.skipTest(f"this layer has no {method}")
        return layer


class SendManyCases(BatchCase):
    def test_several_messages_are_sent_in_their_order(self) -> None:
        layer = self.new_layer_with("send_many")
        names = ("plain", "a?b", "p!s", "p!t")
        sendings = [Sending(names[n % 4], {"n": n}) for n in range(40)]
        assert layer.send_many(sendings) == [None] * 40
        assert numbers(layer, "plain") == list(range(0, 40, 4))
        assert numbers(layer, "a?b") == list(range(1, 40, 4))
        assert [n for n in range(40) if n % 4 > 1] == numbers(layer, "p!")

    def test_as_many_as_one_likes_are_sent_at_once(self) -> None:
        layer = self.new_layer_with("send_many", capacity=2000)
        assert layer.send_many([]) == []
        assert layer.send_many([Sending("p!s", {"n": n}) for n in range(1500)]) == [None] * 1500
        assert numbers(layer, "p!") == list(range(1500))

    def test_group_sends_keep_their_place_among_the_others(self) -> None:
        layer = self.new_layer_with("send_many", "groups")
        layer.group_add("group", "p!s")
        layer.group_add("group", "plain")
        sendings = [Sending("group" if n % 2 else "p!s", {"n": n}, bool(n % 2)) for n in range(10)]
        assert layer.send_many(sendings) == [None] * 10
        assert numbers(layer, "p!") == list(range(10))
        assert numbers(layer, "plain") == [1, 3, 5, 7, 9]

    def test_behind_a_refused_message_all_for_the_same_queue_are_refused(self) -> None:
        layer = self.new_layer_with("send_many", channel_capacity={"small": 2, "p": 1})
        names = ("small", "small", "small", "other", "small", "p!s", "p!t", "other", "p!s")
        outcomes = layer.send_many([Sending(name, {"n": n}) for n, name in enumerate(names)])
        refused = [n for n, outcome in enumerate(outcomes) if outcome is not None]
        assert refused == [2, 4, 6, 8]
        assert all(isinstance(outcomes[n], layer.ChannelFull) for n in refused)
        assert numbers(layer, "small") == [0, 1]
        assert numbers(layer, "other") == [3, 7]
        assert numbers(layer, "p!") == [5]

    def test_a_refused_message_says_which_channel_is_full(self) -> None:
        layer = self.new_layer_with("send_many", capacity=1)
        outcome = layer.send_many([Sending("small", {"n": n}) for n in range(2)])[1]
        assert "'small'" in str(outcome)

    def test_a_group_send_is_not_refused_for_a_full_member(self) -> None:
        layer = self.new_layer_with("send_many", "groups", capacity=1)
        for member in ("full", "free"):
            layer.group_add("group", member)
        outcomes = layer.send_many(
            [
                Sending("full", {"n": 1}),
                Sending("full", {"n": 2}),
                Sending("group", {"n": 3}, True),
            ]
        )
        assert isinstance(outcomes[1], layer.ChannelFull)
        assert outcomes[::2] == [None, None]
        assert (numbers(layer, "full"), numbers(layer, "free")) == ([1], [3])

    def test_what_cannot_be_sent_keeps_no_other_back(self) -> None:
        layer = self.new_layer_with("send_many", "groups", max_message_size=1000)
        layer.group_add("group", "plain")
        outcomes = layer.send_many(
            [
                Sending("plain", {"n": 1}),
                Sending("bad name", {}),
                Sending("plain", {"o": object()}),
                Sending("plain", {"n": 2}),
                Sending("plain", {"x": "y" * 2000}),
                Sending("bad group!", {}, to_group=True),
                Sending("group", {"o": object()}, to_group=True),
                Sending("group", {"x": "y" * 2000}, to_group=True),
                Sending("group", {"n": 3}, to_group=True),
            ]
        )
        bad, large = TypeError, layer.MessageTooLarge
        expected = [None, bad, bad, None, large, bad, bad, large, None]
        for outcome, error in zip(outcomes, expected, strict=True):
            assert outcome is None if error is None else isinstance(outcome, error)
        assert "'bad name'" in str(outcomes[1])
        assert 'content["o"]' in str(outcomes[2])
        assert numbers(layer, "plain") == [1, 2, 3]

    def test_one_dict_for_several_channels_is_neither_altered_nor_shared(self) -> None:
        layer = self.new_layer_with("send_many")
        message = {"list": [1]}
        layer.send_many([Sending("p!a", message), Sending("p!b", message)])
        message["list"].append(2)
        layer.receive(["p!"])[1]["list"].append(3)
        assert drain(layer, "p!") == [("p!b", {"list": [1]})]

    def test_readers_who_wait_get_what_is_sent(self) -> None:
        layer = self.new_layer_with("send_many")
        readers = {name: InThread(receive_soon, layer, [name]) for name in ("plain", "a?b")}
        layer.send_many([Sending(name, {"n": 1}) for name in readers])
        for name, reader in readers.items():
            assert reader.outcome() == (name, {"n": 1})

    def test_send_many_async_keeps_the_same_rules(self) -> None:
        layer = self.new_layer_with("send_many_async", "async", capacity=2)
        names = ("p!s", "bad name", "p!t", "p!s", "other", "p!t")
        sendings = [Sending(name, {"n": n}) for n, name in enumerate(names)]
        outcomes = asyncio.run(layer.send_many_async(sendings))
        expected = [None, TypeError, None, layer.ChannelFull, None, layer.ChannelFull]
        for outcome, error in zip(outcomes, expected, strict=True):
            assert outcome is None if error is None else isinstance(outcome, error)
        assert (numbers(layer, "p!"), numbers(layer, "other")) == ([0, 2], [4])


class TurnCases(BatchCase):
    def test_a_turn_sends_and_receives(self) -> None:
        layer = self.new_layer_with("turn")
        layer.send("work", {"n": 1})
        sendings = [Sending("p!s", {"n": 2}), Sending("p!s", {"n": 3})]
        assert layer.turn(sendings, ["idle", "work"]) == ([None, None], ("work", {"n": 1}))
        assert numbers(layer, "p!") == [2, 3]

    def test_a_turn_may_receive_what_it_has_sent(self) -> None:
        layer = self.new_layer_with("turn")
        found = layer.turn([Sending("work", {"n": 1})], ["work"])
        assert found == ([None], ("work", {"n": 1}))

    def test_a_turn_without_sends_is_a_receive(self) -> None:
        layer = self.new_layer_with("turn")
        layer.send("work", {"n": 1})
        assert layer.turn([], ["work"]) == ([], ("work", {"n": 1}))

    def test_a_turn_without_channels_only_sends(self) -> None:
        layer = self.new_layer_with("turn")
        assert layer.turn([Sending("p!s", {"n": 1})], []) == ([None], (None, None))
        assert numbers(layer, "p!") == [1]

    def test_what_a_turn_sends_goes_out_before_it_waits(self) -> None:
        layer = self.new_layer_with("turn")
        turn = InThread(layer.turn, [Sending("p!s", {"n": 1})], ["work"])
        assert receive_soon(layer, ["p!"]) == ("p!s", {"n": 1})
        assert turn.outcome() == ([None], (None, None))

    def test_a_turn_that_waits_gets_what_is_sent_meanwhile(self) -> None:
        layer = self.new_layer_with("turn")

        def turn() -> Any:
            end = time.monotonic() + PATIENCE
            while time.monotonic() < end:
                _, received = layer.turn([], ["work"])
                if received[0] is not None:
                    return received
            raise AssertionError("no message came")

        waiting = InThread(turn)
        layer.send("work", {"n": 1})
        assert waiting.outcome() == ("work", {"n": 1})

    def test_failed_sends_do_not_keep_a_turn_from_receiving(self) -> None:
        layer = self.new_layer_with("turn", channel_capacity={"small": 1})
        layer.send("work", {"n": 0})
        sendings = [Sending(name, {"n": 1}) for name in ("small", "small", "bad name", "other")]
        outcomes, received = layer.turn(sendings, ["work"])
        assert received == ("work", {"n": 0})
        assert outcomes[0] is None
        assert isinstance(outcomes[1], layer.ChannelFull)
        assert isinstance(outcomes[2], TypeError)
        assert outcomes[3] is None
        assert (numbers(layer, "small"), numbers(layer, "other")) == ([1], [1])

    def test_a_turn_refuses_bad_names_to_receive_from(self) -> None:
        layer = self.new_layer_with("turn")
        for name in ("bad name", "p!s", "a?"):
            with self.refuses():
                layer.turn([], [name])


class ReceiveBatchCases(BatchCase):
    def new_batch_layer(self, *needed: str, **config: Any) -> Any:
        return self.new_layer_with("receive_batch_async", "async", *needed, **config)

    def test_a_batch_is_what_is_there(self) -> None:
        layer = self.new_batch_layer()
        layer.send("p!s", {"n": 1})
        batch = asyncio.run(layer.receive_batch_async(["other", "p!"]))
        assert [(list(channels), message) for channels, message in batch] == [(["p!s"], {"n": 1})]

    def test_all_that_waits_for_a_process_comes_in_order(self) -> None:
        layer = self.new_batch_layer()
        sent = [(f"p!s{n % 3}", {"n": n}) for n in range(250)]
        for name, message in sent:
            layer.send(name, message)
        assert asyncio.run(batches(layer, ["p!"], 250)) == sent

    def test_messages_that_any_process_may_take_come_once(self) -> None:
        layer = self.new_batch_layer()
        for n in range(20):
            layer.send("plain", {"n": n})
            layer.send("a?b", {"n": n})
        found = asyncio.run(batches(layer, ["plain", "a?b"], 40))
        for name in ("plain", "a?b"):
            assert [message["n"] for channel, message in found if channel == name] == [*range(20)]

    def test_a_group_send_comes_once_for_all_members_of_the_process(self) -> None:
        layer = self.new_batch_layer("groups")
        if most_derived(layer, ["receive_batch_async"]) is None:
            self.skipTest("this layer takes one message at a time")
        for member in ("ws.P!1", "ws.P!2", "ws.Q!1", "plain", "ws.P!3"):
            layer.group_add("group", member)
        layer.send_group("group", {"n": 1})
        [(channels, message)] = asyncio.run(layer.receive_batch_async(["ws.P!"]))
        assert (sorted(channels), message) == (["ws.P!1", "ws.P!2", "ws.P!3"], {"n": 1})
        assert sorted(name for name, _ in drain(layer, "ws.P!", "ws.Q!", "plain")) == [
            "plain",
            "ws.Q!1",
        ]

    def test_group_sends_and_sends_keep_their_order_in_a_batch(self) -> None:
        layer = self.new_batch_layer("groups")
        for member in ("p!1", "p!2"):
            layer.group_add("group", member)
        for n in range(0, 20, 2):
            layer.send("p!1", {"n": n})
            layer.send_group("group", {"n": n + 1})
        found = asyncio.run(batches(layer, ["p!"], 30))
        assert [message["n"] for name, message in found if name == "p!1"] == list(range(20))
        assert [message["n"] for name, message in found if name == "p!2"] == list(range(1, 20, 2))

    def test_a_batch_is_empty_from_time_to_time(self) -> None:
        layer = self.new_batch_layer()

        async def receive() -> Any:
            return await asyncio.wait_for(layer.receive_batch_async(["p!"]), PATIENCE)

        assert asyncio.run(receive()) == []
        assert asyncio.run(layer.receive_batch_async([])) == []

    def test_a_waiting_receiver_of_batches_gets_what_another_thread_sends(self) -> None:
        layer = self.new_batch_layer()

        async def receive() -> Any:
            waiting = asyncio.ensure_future(batches(layer, ["p!"], 1))
            await asyncio.to_thread(layer.send, "p!s", {"n": 1})
            return await waiting

        assert asyncio.run(receive()) == [("p!s", {"n": 1})]

    @in_time
    def test_an_expired_message_is_in_no_batch(self) -> None:
        layer = self.new_batch_layer(expiry=self.short_expiry)
        layer.send("p!s", {"n": 1})
        self.let_expire(0.55)
        layer.send("p!s", {"n": 2})
        self.let_expire(0.55)
        assert asyncio.run(batches(layer, ["p!"], 1)) == [("p!s", {"n": 2})]

    def test_a_batch_refuses_bad_names(self) -> None:
        layer = self.new_batch_layer()
        for name in ("bad name", "p!s", "a?"):
            with self.refuses():
                asyncio.run(layer.receive_batch_async([name]))

    def test_a_cancelled_batch_loses_no_message_and_keeps_order(self) -> None:
        layer = self.new_batch_layer("groups")
        layer.group_add("group", "p!s")

        async def receive() -> list[int]:
            found: list[int] = []
            for n in range(40):
                waiting = asyncio.ensure_future(layer.receive_batch_async(["p!"]))
                await asyncio.sleep(0.001 * (n % 3))
                send, name = (layer.send_group, "group") if n % 2 else (layer.send, "p!s")
                await asyncio.to_thread(send, name, {"n": n})
                waiting.cancel()
                outcome: Any = (await asyncio.gather(waiting, return_exceptions=True))[0]
                if not isinstance(outcome, asyncio.CancelledError):
                    found += [message["n"] for _, message in outcome]
            rest = await batches(layer, ["p!"], 40 - len(found))
            return found + [message["n"] for _, message in rest]

        assert asyncio.run(receive()) == list(range(40))


async def batches(layer: Any, channels: Iterable[str], count: int) -> list[tuple[str, Any]]:
    """The next messages, ``count`` at least, each with one channel that gets it."""
    names = list(channels)
    found: list[tuple[str, Any]] = []
    end = time.monotonic() + PATIENCE
    while len(found) < count and time.monotonic() < end:
        for targets, message in await layer.receive_batch_async(names):
            found += [(target, message) for target in targets]
    assert len(found) >= count, f"only {len(found)} messages came on {names}"
    return found
