"""The test cases: each test has a layer of its own, and the real one comes back."""

from __future__ import annotations

import unittest
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connections
from django.test import override_settings

from channels import Channel, Group, channel_layers, include, route
from channels.handler import AsgiHandler
from channels.layers import InMemoryChannelLayer
from channels.message import Message
from channels.test import ChannelTestCase, Client, TransactionChannelTestCase
from channels.test.base import ChannelTestCaseMixin

ROUTES = [route("test.real", lambda message: "real")]
LAYER = {"BACKEND": "channels.layers.InMemoryChannelLayer", "ROUTING": ROUTES}


@pytest.fixture(autouse=True)
def real_layers() -> Iterator[None]:
    with override_settings(CHANNEL_LAYERS={"default": LAYER, "other": LAYER}):
        yield


def run(case: type[unittest.TestCase], **methods: Any) -> unittest.TestResult:
    """Run a test case that has these methods (but not those of Django's set-up)."""
    body = {f"test_{name}" if name[0] != "s" else name: code for name, code in methods.items()}
    made: Any = type("Made", (case,), body)
    result = unittest.TestResult()
    for name in unittest.defaultTestLoader.getTestCaseNames(made):
        made(name).run(result)
    return result


def check(result: unittest.TestResult, runs: int) -> None:
    assert [text for _, text in result.errors + result.failures] == []
    assert result.testsRun == runs


@pytest.mark.parametrize("base", [ChannelTestCase, TransactionChannelTestCase])
def test_each_test_has_a_fresh_layer_in_memory(base: type[ChannelTestCaseMixin]) -> None:
    layers = [channel_layers["default"].channel_layer]

    def use(test: Any) -> None:
        layer = channel_layers["default"].channel_layer
        assert isinstance(layer, InMemoryChannelLayer)
        assert layer not in layers
        layers.append(layer)
        assert test.get_next_message("test.any") is None
        Channel("test.any").send({})

    check(run(base, a=use, b=use), 2)  # type: ignore[arg-type]
    assert channel_layers["default"].channel_layer is layers[0]
    assert layers[0].receive(["test.any"]) == (None, None)


def test_the_layer_is_there_for_set_up_and_cleanups_without_super() -> None:
    real = channel_layers["default"].channel_layer
    seen: list[object] = []

    def look() -> None:
        seen.append(channel_layers["default"].channel_layer)

    def set_up(test: Any) -> None:
        look()
        test.addCleanup(look)

    check(run(ChannelTestCase, setUp=set_up, a=lambda test: look()), 1)
    assert len(seen) == 3
    assert set(map(id, seen)) == {id(seen[0])}
    assert seen[0] is not real


def test_the_layer_is_there_when_a_debugger_runs_the_test() -> None:
    real = channel_layers["default"].channel_layer
    seen: list[object] = []

    class Case(ChannelTestCaseMixin, unittest.TestCase):
        def test(self) -> None:
            seen.append(channel_layers["default"].channel_layer)

    Case("test").debug()
    assert seen != [real]
    assert channel_layers["default"].channel_layer is real


def test_the_real_layer_comes_back_after_a_failure() -> None:
    real = channel_layers["default"].channel_layer

    def fail(test: Any) -> None:
        raise LookupError

    assert len(run(ChannelTestCase, a=fail).errors) == 1
    assert len(run(ChannelTestCase, setUp=fail, a=lambda test: None).errors) == 1
    assert channel_layers["default"].channel_layer is real


def test_the_routing_is_the_real_one() -> None:
    def use(test: Any) -> None:
        assert Client().send_and_consume("test.real") == "real"
        assert Client().get_consumer_by_channel("websocket.connect") is None

    check(run(ChannelTestCase, a=use), 1)


def test_routes_that_a_test_adds_are_gone_afterwards() -> None:
    before = channel_layers["default"].router.channels

    def use(test: Any) -> None:
        assert "test.added" not in channel_layers["default"].router.channels
        channel_layers["default"].router.add_route(route("test.added", lambda message: None))

    check(run(ChannelTestCase, a=use, b=use), 2)
    assert channel_layers["default"].router.channels == before


def test_channels_and_groups_made_before_follow() -> None:
    channel, group = Channel("test.any"), Group("test-group")

    def use(test: Any) -> None:
        channel.send({"sent": 1})
        assert test.get_next_message("test.any", require=True).content == {"sent": 1}
        client = Client()
        client.join_group("test-group")
        group.send({"sent": 2})
        assert client.receive() == {"sent": 2}

    check(run(ChannelTestCase, a=use), 1)


def test_other_aliases_are_exchanged_when_named() -> None:
    real = channel_layers["other"].channel_layer
    seen: list[object] = []

    class Both(ChannelTestCase):
        test_channel_aliases = ("default", "other")

    def use(test: Any) -> None:
        seen.append(channel_layers["other"].channel_layer)
        Channel("test.any", alias="other").send({"sent": 1})
        assert test.get_next_message("test.any") is None
        assert test.get_next_message("test.any", alias="other").content == {"sent": 1}

    check(run(Both, a=use), 1)
    check(
        run(ChannelTestCase, a=lambda test: seen.append(channel_layers["other"].channel_layer)), 1
    )
    assert seen[0] is not real
    assert seen[1] is real


def test_an_unknown_alias_fails_the_test_and_changes_nothing() -> None:
    real = channel_layers["default"].channel_layer

    class Unknown(ChannelTestCase):
        test_channel_aliases = ("default", "unknown")

    result = run(Unknown, a=lambda test: None)
    assert "no channel layer 'unknown'" in result.errors[0][1]
    assert channel_layers["default"].channel_layer is real


def test_settings_overridden_later_are_not_held_up() -> None:
    check(run(ChannelTestCase, a=lambda test: None), 1)
    other = {**LAYER, "ROUTING": [route("test.later", lambda message: None)]}
    with override_settings(CHANNEL_LAYERS={"default": other}):
        assert channel_layers["default"].router.channels == {"test.later"}


class TestMessages(ChannelTestCase):
    def test_the_next_message(self) -> None:
        Channel("test.any").send({"number": 1})
        Channel("test.any").send({"number": 2})
        message = self.get_next_message("test.any")
        assert isinstance(message, Message)
        assert message.content == {"number": 1}
        assert str(message.channel) == "test.any"
        assert message.channel_layer is channel_layers["default"]

    def test_no_message(self) -> None:
        assert self.get_next_message("test.any") is None
        with pytest.raises(AssertionError, match=r"on channel 'test\.any'"):
            self.get_next_message("test.any", require=True)


class TestConnections(ChannelTestCase):
    def test_a_view_that_is_run_directly_leaves_them_alone(self) -> None:
        message = Message({"path": "/", "method": "GET"}, "http.request", None)
        closed: list[object] = []
        with pytest.MonkeyPatch.context() as patch:
            real = connections["default"]
            patch.setattr(real, "close_if_unusable_or_obsolete", lambda: closed.append(1))
            (reply,) = AsgiHandler(message)
        assert reply["status"] == 404
        assert closed == []


class TestWithoutApp(ChannelTestCase):
    def test_the_app_need_not_be_installed(self) -> None:
        with override_settings(INSTALLED_APPS=["django.contrib.contenttypes"]):
            assert Client().send_and_consume("test.real") == "real"


def test_an_included_routing_is_kept() -> None:
    with override_settings(CHANNEL_LAYERS={"default": {**LAYER, "ROUTING": [include(ROUTES)]}}):

        def use(test: Any) -> None:
            assert Client().send_and_consume("test.real") == "real"

        check(run(ChannelTestCase, a=use), 1)
