"""Capacity, flush and statistics."""

from __future__ import annotations

import re
from typing import Any

from .base import PATIENCE, LayerCase, drain, in_time, numbers


class CapacityCases(LayerCase):
    def fill(self, layer: Any, *channels: str) -> int:
        """How many messages go to ``channels``, in turn, until one is full."""
        for count in range(100):
            try:
                layer.send(channels[count % len(channels)], {"n": count})
            except layer.ChannelFull:
                return count
        raise AssertionError("the channel takes everything")

    def test_a_channel_holds_exactly_its_capacity(self) -> None:
        layer = self.new_layer(capacity=3)
        for name in ("plain", "a?b", "p!s"):
            assert self.fill(layer, name) == 3
        assert numbers(layer, "plain") == [0, 1, 2]

    def test_the_error_says_which_channel_how_deep_and_which_limit(self) -> None:
        layer = self.new_layer(capacity=7, channel_capacity={"special": 3})
        assert self.fill(layer, "special") == 3
        with self.refuses("'special'", "3 ", error=layer.ChannelFull):
            layer.send("special", {})
        assert self.fill(layer, "ws.P!s") == 7
        with self.refuses("'ws.P!s'", "7", error=layer.ChannelFull):
            layer.send("ws.P!s", {})

    def test_what_was_read_makes_room(self) -> None:
        layer = self.new_layer(capacity=1)
        for n in range(3):
            layer.send("channel", {"n": n})
            assert layer.receive(["channel"]) == ("channel", {"n": n})

    def test_the_capacity_of_a_process_counts_all_its_channels(self) -> None:
        layer = self.new_layer(capacity=4)
        assert self.fill(layer, "ws.P!1", "ws.P!2", "ws.P!3") == 4
        assert self.fill(layer, "ws.Q!1") == 4

    def test_single_reader_channels_have_a_capacity_each(self) -> None:
        layer = self.new_layer(capacity=2)
        assert self.fill(layer, "a?1") == 2
        assert self.fill(layer, "a?2") == 2

    def test_patterns_set_other_capacities_and_the_first_match_wins(self) -> None:
        layer = self.new_layer(
            capacity=5,
            channel_capacity={
                "http.request": 1,
                re.compile(r"http\.(response|body)"): 2,
                "http.*": 3,
                "ws.send.P": 4,
            },
        )
        for name, capacity in (
            ("http.request", 1),
            ("http.response?x", 2),
            ("http.requests", 3),
            ("ws.send.P!s", 4),
            ("ws.send.Q!s", 5),
            ("other", 5),
        ):
            assert self.fill(layer, name) == capacity, name


class FlushCases(LayerCase):
    def test_after_a_flush_the_layer_is_empty(self) -> None:
        layer = self.new_layer("flush")
        for name in ("plain", "a?b", "p!s"):
            layer.send(name, {"n": 1})
        if "groups" in layer.extensions:
            layer.group_add("group", "p!s")
            layer.group_add("group", "p!t")
            layer.group_add("group", "plain")
            layer.send_group("group", {"n": 2})
            layer.receive(["p!"])
        layer.flush()
        assert drain(layer, "plain", "a?b", "p!") == []
        if "groups" in layer.extensions:
            assert list(layer.group_channels("group")) == []
            layer.send_group("group", {"n": 3})
            assert drain(layer, "plain", "p!") == []

    def test_a_flushed_layer_can_be_used(self) -> None:
        layer = self.new_layer("flush")
        layer.flush()
        layer.send("plain", {"n": 1})
        assert numbers(layer, "plain") == [1]


class StatisticsCases(LayerCase):
    def statistics(self, layer: Any, channel: str) -> tuple[float, ...]:
        figures = layer.channel_statistics(channel)
        return tuple(
            figures[name] for name in ("messages_count", "messages_pending", "channel_full_count")
        )

    def test_sent_pending_and_refused_messages_are_counted(self) -> None:
        layer = self.new_layer("statistics", capacity=2)
        assert self.statistics(layer, "plain") == (0, 0, 0)
        for _ in range(2):
            layer.send("plain", {})
        with self.refuses(error=layer.ChannelFull):
            layer.send("plain", {})
        layer.receive(["plain"])
        assert self.statistics(layer, "plain") == (2, 1, 1)
        layer.send("a?b", {})
        figures = layer.global_statistics()
        assert figures["messages_count"] == 3
        assert figures["channel_full_count"] == 1

    def test_the_age_of_the_oldest_message_is_known(self) -> None:
        layer = self.new_layer("statistics")
        assert layer.channel_statistics("plain")["messages_max_age"] == 0
        layer.send("plain", {})
        self.let_expire(0.4)
        layer.send("plain", {})
        age = layer.channel_statistics("plain")["messages_max_age"]
        assert self.short_expiry * 0.35 < age < PATIENCE

    @in_time
    def test_expired_messages_are_not_pending(self) -> None:
        layer = self.new_layer("statistics", expiry=self.short_expiry)
        layer.send("plain", {})
        self.let_expire(0.55)
        layer.send("plain", {})
        self.let_expire(0.55)
        assert self.statistics(layer, "plain") == (2, 1, 0)

    def test_process_specific_channels_are_counted_together(self) -> None:
        layer = self.new_layer("statistics")
        layer.send("ws.P!1", {})
        layer.send("ws.P!2", {})
        assert self.statistics(layer, "ws.P!1") == (2, 2, 0)
        assert self.statistics(layer, "ws.P!") == (2, 2, 0)

    def test_single_reader_channels_are_counted_by_their_kind(self) -> None:
        layer = self.new_layer("statistics")
        layer.send("body?1", {})
        layer.send("body?2", {})
        assert self.statistics(layer, "body?1") == (2, 1, 0)

    def test_a_group_send_counts_for_each_queue_that_it_reaches(self) -> None:
        layer = self.new_layer("statistics", "groups", capacity=1)
        for member in ("ws.P!1", "ws.P!2", "plain"):
            layer.group_add("group", member)
        layer.send_group("group", {})
        layer.send_group("group", {})
        assert self.statistics(layer, "ws.P!1") == (1, 1, 1)
        assert self.statistics(layer, "plain") == (1, 1, 1)

    def test_a_flush_starts_the_statistics_anew(self) -> None:
        layer = self.new_layer("statistics", "flush")
        layer.send("plain", {})
        layer.flush()
        assert self.statistics(layer, "plain") == (0, 0, 0)
        assert layer.global_statistics()["messages_count"] == 0
