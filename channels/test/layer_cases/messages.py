"""Names, and what a message may hold."""

from __future__ import annotations

import datetime
import decimal
import enum
import math
from collections import OrderedDict
from typing import Any

from .base import LayerCase


class Colour(enum.IntEnum):
    RED = 1


class Flavour(enum.StrEnum):
    SWEET = "sweet"


class Marked(str):
    """Text of a subclass, as Django's ``SafeString`` is."""


GOOD_NAMES = ["a", "http.request", "A-b_c.9", "http.response?Ab3x", "ws.send.P-1!s_2", "x" * 99]
BAD_NAMES = [
    ("", "0"),
    ("x" * 100, "100"),
    ("with space", "' '"),
    ("kanał", "'ł'"),
    ("semi;colon", "';'"),
    ("line\n", "'\\n'"),
    ("two?marks?here", "'?'"),
    ("two!marks?here", "'?'"),
    ("ends?", "5"),
    ("?starts", "'?'"),
]

PLAIN_VALUES = {
    "bytes": b"\x00\xff",
    "text": "h\u00e9 \U0001f600 \x00",
    "empty": "",
    "true": True,
    "false": False,
    "none": None,
    "zero": 0,
    "smallest": -(2**63),
    "largest": 2**63 - 1,
    "float": 0.1,
    "infinite": math.inf,
    "list": [1, [2, ["three", b"four", None]]],
    "dict": {"a": {"b": {"c": [{"d": b"e"}]}}, "": 1},
    "integer keys": {1: "one", -2: {3: "x"}},
}


class NameCases(LayerCase):
    def test_every_good_name_can_be_sent_to_and_received_from(self) -> None:
        layer = self.new_layer()
        for name in GOOD_NAMES:
            layer.send(name, {"to": name})
            reader = name.partition("!")[0] + "!" if "!" in name else name
            assert layer.receive([reader]) == (name, {"to": name})

    def test_a_bad_channel_name_is_a_type_error_that_says_what_is_wrong(self) -> None:
        layer = self.new_layer()
        for name, offence in BAD_NAMES:
            with self.refuses("100", str(len(name)), "ASCII letters", offence):
                layer.send(name, {})
            with self.refuses("100", str(len(name)), offence):
                layer.receive([name])

    def test_a_channel_name_that_is_no_text_is_a_type_error(self) -> None:
        layer = self.new_layer()
        for name in (b"bytes", None, 1):
            with self.refuses():
                layer.send(name, {})
            with self.refuses():
                layer.receive([name])

    def test_a_process_specific_channel_is_received_by_its_process_only(self) -> None:
        layer = self.new_layer()
        with self.refuses("'ws.P!'"):
            layer.receive(["ws.P!socket"])
        with self.refuses():
            layer.send("ws.P!", {})

    def test_new_channel_makes_unused_single_reader_names(self) -> None:
        layer = self.new_layer()
        names = {layer.new_channel("http.body?") for _ in range(100)}
        assert len(names) == 100
        for name in names:
            assert name.startswith("http.body?")
            assert len(name) > len("http.body?")
        layer.send(name, {"n": 1})
        assert layer.receive([name]) == (name, {"n": 1})

    def test_new_channel_refuses_other_patterns(self) -> None:
        layer = self.new_layer()
        for pattern in ("no.mark", "process!", "two?marks?", "sp ace?", "?", None):
            with self.refuses():
                layer.new_channel(pattern)

    def test_a_bad_group_name_is_a_type_error(self) -> None:
        layer = self.new_layer("groups")
        layer.group_add("g" * 99, "a")
        for name in ("", "g" * 100, "a?b", "a!b", "sp ace", "\u00fc", None, b"g"):
            for call in (layer.group_add, layer.group_discard):
                with self.refuses():
                    call(name, "channel")
            with self.refuses():
                layer.send_group(name, {})
            with self.refuses():
                layer.group_channels(name)

    def test_a_bad_name_of_a_member_is_a_type_error(self) -> None:
        layer = self.new_layer("groups")
        for name in ("", "sp ace", "a?", "a!", b"a"):
            with self.refuses():
                layer.group_add("group", name)
            with self.refuses():
                layer.group_discard("group", name)


class MessageCases(LayerCase):
    def pass_through(self, message: Any) -> Any:
        layer = self.new_layer()
        layer.send("channel", message)
        channel, received = layer.receive(["channel"])
        assert channel == "channel"
        return received

    def test_every_permitted_value_arrives_as_it_was(self) -> None:
        received = self.pass_through(PLAIN_VALUES)
        assert received == PLAIN_VALUES
        for key, value in PLAIN_VALUES.items():
            assert type(received[key]) is type(value), key

    def test_not_a_number_travels(self) -> None:
        assert math.isnan(self.pass_through({"nan": math.nan})["nan"])

    def test_an_empty_message_travels(self) -> None:
        assert self.pass_through({}) == {}

    def test_a_tuple_arrives_as_a_list(self) -> None:
        assert self.pass_through({"t": (1, (b"a", "b"))}) == {"t": [1, [b"a", "b"]]}

    def test_subclasses_arrive_as_the_plain_type(self) -> None:
        received = self.pass_through(
            {
                "colour": Colour.RED,
                "flavour": Flavour.SWEET,
                "marked": Marked("m"),
                Marked("key"): OrderedDict({Colour.RED: 1, Marked("k"): 2}),
            }
        )
        assert received == {"colour": 1, "flavour": "sweet", "marked": "m", "key": {1: 1, "k": 2}}
        assert type(received["colour"]) is int
        assert type(received["flavour"]) is str
        assert type(received["marked"]) is str
        assert type(received["key"]) is dict
        assert {type(key) for key in received} == {str}

    def test_more_than_a_mebibyte_travels(self) -> None:
        message = {"bytes": b"\x01" * 2**20, "text": "x" * 2**20}
        assert self.pass_through(message) == message

    def test_deep_nesting_travels(self) -> None:
        value: Any = 1
        for _ in range(25):
            value = [{"deeper": value}]
        assert self.pass_through({"v": value}) == {"v": value}

    def test_what_cannot_travel_is_refused_with_its_place(self) -> None:
        layer = self.new_layer()
        born = datetime.datetime(2000, 1, 1)
        endless: list[Any] = []
        endless.append(endless)
        for message, *words in (
            ({"user": {"born": born}}, 'content["user"]["born"]', "datetime"),
            ({"day": born.date()}, 'content["day"]', "date"),
            ({"list": [1, {"x": {2}}]}, 'content["list"][1]["x"]', "set"),
            ({"price": decimal.Decimal("1.5")}, 'content["price"]', "Decimal"),
            ({"o": object()}, 'content["o"]', "object"),
            ({"c": 1j}, 'content["c"]', "complex"),
            ({"array": bytearray(b"x")}, 'content["array"]', "bytearray"),
            ({"view": memoryview(b"x")}, 'content["view"]', "memoryview"),
            ({"big": 2**63}, 'content["big"]', "64"),
            ({"small": -(2**63) - 1}, 'content["small"]', "64"),
            ({"lone": ["\ud800"]}, 'content["lone"][0]', "surrogate"),
            ({"keys": {(1, 2): 3}}, 'content["keys"]', "tuple"),
            ({"keys": {None: 3}}, 'content["keys"]', "NoneType"),
            ({"keys": {2**63: 3}}, 'content["keys"]', "64"),
            ({1: "top"}, "1", "int"),
            ({b"top": 1}, "top", "bytes"),
            ({"\udfff": 1}, "surrogate"),
            ({"endless": endless}, 'content["endless"][0]', "deep"),
        ):
            with self.refuses(*words):
                layer.send("channel", message)
        assert layer.receive(["channel"]) == (None, None)

    def test_a_message_is_a_dict(self) -> None:
        layer = self.new_layer()
        for message in ("text", b"bytes", None, 1, ["list"], [("a", 1)]):
            with self.refuses("dict"):
                layer.send("channel", message)

    def test_a_group_send_refuses_the_same(self) -> None:
        layer = self.new_layer("groups")
        with self.refuses('content["o"]', "object"):
            layer.send_group("group", {"o": object()})
        with self.refuses("dict"):
            layer.send_group("group", "x")

    def test_the_dict_that_was_sent_is_neither_altered_nor_shared(self) -> None:
        layer = self.new_layer()
        message = {"list": [1], "tuple": (1, 2)}
        layer.send("ws.P!a", message)
        layer.send("ws.P!b", message)
        assert message == {"list": [1], "tuple": (1, 2)}
        message["list"].append(2)  # type: ignore[attr-defined]
        _, first = layer.receive(["ws.P!"])
        first["list"].append(3)
        assert layer.receive(["ws.P!"]) == ("ws.P!b", {"list": [1], "tuple": [1, 2]})

    def test_members_of_a_group_share_nothing(self) -> None:
        layer = self.new_layer("groups")
        for member in ("plain", "ws.P!a", "ws.P!b"):
            layer.group_add("group", member)
        message = {"list": [1]}
        layer.send_group("group", message)
        message["list"].append(2)
        for _ in range(3):
            _, received = layer.receive(["plain", "ws.P!"])
            assert received == {"list": [1]}
            received["list"].append(3)

    def test_a_message_past_the_limit_is_too_large(self) -> None:
        layer = self.new_layer(max_message_size=1000)
        layer.send("channel", {"x": "y" * 900})
        with self.refuses("1000", error=layer.MessageTooLarge):
            layer.send("channel", {"x": "y" * 1001})
        if "groups" in layer.extensions:
            layer.group_add("group", "channel")
            with self.refuses("1000", error=layer.MessageTooLarge):
                layer.send_group("group", {"x": "y" * 1001})
        assert layer.receive(["channel"])[0] == "channel"
        assert layer.receive(["channel"]) == (None, None)
