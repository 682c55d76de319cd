"""What the base class of layers promises to layers that build on it."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, ClassVar

import pytest

from channels.layers import BaseChannelLayer
from channels.types import Sending


class ThirdParty(BaseChannelLayer):
    def receive(self, channels: Any, block: bool = False) -> Any:
        return "channel", {"channels": list(channels), "block": block}


def test_receive_many_calls_receive() -> None:
    found = ThirdParty().receive_many(["a"], block=True)
    assert found == ("channel", {"channels": ["a"], "block": True})


def test_closing_a_layer_without_connections_does_nothing() -> None:
    ThirdParty().close()


@pytest.mark.parametrize("name", ["a?b?", "a!b!c", "a b"])
def test_the_first_offending_character_is_named(name: str) -> None:
    with pytest.raises(TypeError, match="at position"):
        ThirdParty().check_channel(name)


def test_several_sends_do_not_block_an_event_loop() -> None:
    class Slow(ThirdParty):
        threads: ClassVar[list[threading.Thread]] = []

        def send(self, channel: str, message: Any) -> None:
            self.threads.append(threading.current_thread())

    layer = Slow()
    assert asyncio.run(layer.send_many_async([Sending("a", {}), Sending("b", {})])) == [None] * 2
    assert len(layer.threads) == 2
    assert threading.main_thread() not in layer.threads


def test_room_that_comes_too_late_changes_no_order() -> None:
    class Recovering(ThirdParty):
        sent: ClassVar[list[str]] = []

        def send(self, channel: str, message: Any) -> None:
            if not self.sent:
                self.sent.append("the reader takes something now")
                raise self.ChannelFull
            self.sent.append(channel)

    layer = Recovering()
    names = ["p!a", "p!b", "other"]
    outcomes = layer.send_many([Sending(name, {}) for name in names])
    assert [isinstance(outcome, layer.ChannelFull) for outcome in outcomes] == [True, True, False]
    assert layer.sent[1:] == ["other"]


def test_a_batch_is_one_message_where_a_layer_has_nothing_better() -> None:
    class OneByOne(ThirdParty):
        async def receive_async(self, channels: Any) -> Any:
            names = list(channels)
            return (names[0], {"n": 1}) if names else (None, None)

    layer = OneByOne()
    assert asyncio.run(layer.receive_batch_async(["p!"])) == [(["p!"], {"n": 1})]
    assert asyncio.run(layer.receive_batch_async([])) == []
