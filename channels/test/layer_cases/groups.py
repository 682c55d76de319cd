"""Groups: who belongs to them, until when, and what a send to one does."""

from __future__ import annotations

from typing import Any

from .base import LayerCase, drain, in_time, numbers

MEMBERS = ["plain", "a?b", "ws.P!1", "ws.P!2", "ws.Q!1"]
READERS = ["plain", "a?b", "ws.P!", "ws.Q!"]


class GroupCases(LayerCase):
    def new_group(self, *members: str, **config: Any) -> Any:
        layer = self.new_layer("groups", **config)
        for member in members:
            layer.group_add("group", member)
        return layer

    def test_every_member_gets_the_message_once(self) -> None:
        layer = self.new_group(*MEMBERS, "plain", "ws.P!1")
        layer.send_group("group", {"n": 1})
        found = drain(layer, *READERS)
        assert sorted(channel for channel, _ in found) == sorted(MEMBERS)
        assert all(message == {"n": 1} for _, message in found)

    def test_group_channels_names_the_members(self) -> None:
        layer = self.new_group(*MEMBERS)
        assert sorted(layer.group_channels("group")) == sorted(MEMBERS)
        assert list(layer.group_channels("nobody")) == []

    def test_who_was_discarded_gets_nothing_more(self) -> None:
        layer = self.new_group(*MEMBERS)
        for member in ("plain", "ws.P!1", "ws.Q!1", "never.there", "ws.P!9", "ws.R!1"):
            layer.group_discard("group", member)
        layer.send_group("group", {"n": 1})
        assert sorted(name for name, _ in drain(layer, *READERS)) == ["a?b", "ws.P!2"]
        layer.group_discard("nobody", "plain")
        assert sorted(layer.group_channels("group")) == ["a?b", "ws.P!2"]

    def test_groups_are_apart(self) -> None:
        layer = self.new_group("plain", "ws.P!1")
        layer.group_add("other", "ws.P!2")
        layer.group_add("other", "plain")
        layer.group_discard("other", "plain")
        layer.send_group("group", {"n": 1})
        assert sorted(name for name, _ in drain(layer, *READERS)) == ["plain", "ws.P!1"]
        assert list(layer.group_channels("other")) == ["ws.P!2"]

    def test_a_group_without_members_can_be_sent_to(self) -> None:
        self.new_group().send_group("group", {"n": 1})

    def test_group_sends_and_sends_keep_their_order(self) -> None:
        layer = self.new_group("ws.P!1")
        for n in range(0, 20, 2):
            layer.send("ws.P!1", {"n": n})
            layer.send_group("group", {"n": n + 1})
        assert numbers(layer, "ws.P!") == list(range(20))

    def test_a_full_member_misses_the_message_and_others_get_it(self) -> None:
        layer = self.new_group("full", "free", "ws.P!1", capacity=1)
        layer.send("full", {"n": 0})
        layer.send_group("group", {"n": 1})
        layer.send_group("group", {"n": 2})
        assert numbers(layer, "full") == [0]
        assert numbers(layer, "free") == [1]
        assert numbers(layer, "ws.P!") == [1]

    def test_a_group_send_is_one_entry_for_a_process(self) -> None:
        layer = self.new_group(*(f"ws.P!{n}" for n in range(10)), capacity=2)
        layer.send_group("group", {"n": 1})
        layer.send("ws.P!0", {"n": 2})
        with self.refuses(error=layer.ChannelFull):
            layer.send("ws.P!0", {"n": 3})
        layer.send_group("group", {"n": 4})
        found = drain(layer, "ws.P!")
        assert sorted(name for name, _ in found) == sorted(
            ["ws.P!0", *(f"ws.P!{n}" for n in range(10))]
        )
        assert [message["n"] for _, message in found] == [1] * 10 + [2]

    def test_capacity_patterns_apply_to_group_sends(self) -> None:
        layer = self.new_group(
            "small.one", "ws.P!1", "large", capacity=5, channel_capacity={"small.*": 1, "ws.*": 2}
        )
        for n in range(8):
            layer.send_group("group", {"n": n})
        assert numbers(layer, "small.one") == [0]
        assert numbers(layer, "ws.P!") == [0, 1]
        assert numbers(layer, "large") == [0, 1, 2, 3, 4]

    def test_membership_lapses_after_the_group_expiry(self) -> None:
        layer = self.new_group(*MEMBERS, group_expiry=self.short_expiry)
        self.let_expire()
        layer.send_group("group", {"n": 1})
        assert drain(layer, *READERS) == []
        assert list(layer.group_channels("group")) == []

    @in_time
    def test_adding_again_starts_the_group_expiry_anew(self) -> None:
        layer = self.new_group("plain", "ws.P!1", "ws.P!2", group_expiry=self.short_expiry)
        self.let_expire(0.55)
        layer.group_add("group", "plain")
        layer.group_add("group", "ws.P!1")
        self.let_expire(0.55)
        assert sorted(layer.group_channels("group")) == ["plain", "ws.P!1"]
        layer.send_group("group", {"n": 1})
        assert sorted(name for name, _ in drain(layer, *READERS)) == ["plain", "ws.P!1"]

    @in_time
    def test_a_refresh_prolongs_memberships_and_makes_none(self) -> None:
        layer = self.new_group("plain", "old", "ws.P!1", "ws.P!2", group_expiry=self.short_expiry)
        if not hasattr(layer, "group_refresh"):
            self.skipTest("this layer has no group_refresh")
        layer.group_add("second", "ws.P!1")
        self.let_expire(0.55)
        layer.group_refresh(["plain", "ws.P!1", "ws.P!9", "stranger"])
        layer.group_refresh([])
        self.let_expire(0.55)
        assert sorted(layer.group_channels("group")) == ["plain", "ws.P!1"]
        assert list(layer.group_channels("second")) == ["ws.P!1"]

    @in_time
    def test_a_refresh_does_not_revive_what_has_lapsed(self) -> None:
        layer = self.new_group("plain", "ws.P!1", group_expiry=self.short_expiry)
        if not hasattr(layer, "group_refresh"):
            self.skipTest("this layer has no group_refresh")
        self.let_expire(0.55)
        for group, channel in (("second", "plain"), ("second", "ws.P!1"), ("group", "other")):
            layer.group_add(group, channel)
        self.let_expire(0.55)
        layer.group_refresh(["plain", "ws.P!1"])
        assert list(layer.group_channels("group")) == ["other"]

    @in_time
    def test_groups_outlive_the_messages_that_were_read(self) -> None:
        layer = self.new_group("plain", "ws.P!1", expiry=self.short_expiry)
        layer.send_group("group", {"n": 1})
        assert len(drain(layer, *READERS)) == 2
        self.let_expire()
        layer.send_group("group", {"n": 2})
        assert len(drain(layer, *READERS)) == 2

    @in_time
    def test_who_lets_a_message_expire_leaves_the_group(self) -> None:
        layer = self.new_group(*MEMBERS, expiry=self.short_expiry)
        layer.send_group("group", {"n": 1})
        assert len(drain(layer, "plain", "ws.P!")) == 3
        self.let_expire()
        layer.send_group("group", {"n": 2})
        assert sorted(layer.group_channels("group")) == ["plain", "ws.P!1", "ws.P!2"]
        assert sorted(n for n, _ in drain(layer, *READERS)) == ["plain", "ws.P!1", "ws.P!2"]

    def test_a_late_reader_of_an_expired_message_has_left_the_group_too(self) -> None:
        layer = self.new_group("plain", "late", expiry=self.short_expiry)
        layer.send("plain", {"n": 1})
        layer.send("late", {"n": 1})
        self.let_expire()
        assert layer.receive(["plain"]) == (None, None)
        assert layer.receive(["late"], block=True) == (None, None)
        assert list(layer.group_channels("group")) == []
