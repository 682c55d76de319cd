"""``apply_routes``: other routes for a while."""

from __future__ import annotations

import inspect
import unittest
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import SimpleTestCase, override_settings

from channels import channel_layers, include, route, route_class
from channels.routing import null_consumer
from channels.test import ChannelTestCase, Client, apply_routes

LAYER = {
    "BACKEND": "channels.layers.InMemoryChannelLayer",
    "ROUTING": [route("test.real", null_consumer)],
}
ONE, TWO = route("test.one", null_consumer), route("test.two", null_consumer)
ROUTING = {"test.path": null_consumer}


class Custom:
    def match(self, message: object) -> None:
        return None

    def channel_names(self) -> set[str]:
        return {"test.custom"}

    __call__ = match


def served(alias: str = "default") -> set[str]:
    return channel_layers[alias].router.channels


@pytest.fixture(autouse=True)
def real_layers() -> Iterator[None]:
    """Two real layers; afterwards their routes must be back."""
    with override_settings(CHANNEL_LAYERS={"default": LAYER, "other": LAYER}):
        wrappers = [channel_layers["default"], channel_layers["other"]]
        yield
        assert [channel_layers["default"], channel_layers["other"]] == wrappers
        assert served() == served("other") == {"test.real"}


@pytest.mark.parametrize(
    ("routes", "channels"),
    [
        ([ONE, TWO], {"test.one", "test.two"}),
        ((ONE, TWO), {"test.one", "test.two"}),
        ([], set()),
        (ONE, {"test.one"}),
        ([[ONE], [TWO]], {"test.one", "test.two"}),
        ([[ONE], TWO], {"test.one", "test.two"}),
        (include([ONE]), {"test.one"}),
        (Custom(), {"test.custom"}),
        ({"test.dict": null_consumer}, {"test.dict"}),
        (f"{__name__}.ROUTING", {"test.path"}),
    ],
)
def test_routes_in_every_form(routes: Any, channels: set[str]) -> None:
    with apply_routes(routes):
        assert served() == channels
    assert served() == {"test.real"}


def test_the_routes_reach_the_consumers() -> None:
    with apply_routes(route("test.one", lambda message: "reached")):
        assert Client().send_and_consume("test.one") == "reached"


def test_something_else_is_refused() -> None:
    with pytest.raises(TypeError, match="apply_routes"):
        apply_routes(null_consumer)


def test_routes_of_a_consumer_class() -> None:
    class Consumer:
        @staticmethod
        def channel_names() -> set[str]:
            return {"test.class"}

    with apply_routes(route_class(Consumer)):
        assert served() == {"test.class"}


def test_the_routes_end_with_an_exception() -> None:
    with pytest.raises(LookupError), apply_routes(ONE):
        raise LookupError
    assert served() == {"test.real"}


@pytest.mark.parametrize("aliases", [["other"], "other"])
def test_the_aliases_named_are_changed(aliases: Any) -> None:
    with apply_routes(ONE, aliases=aliases):
        assert (served(), served("other")) == ({"test.real"}, {"test.one"})


def test_several_aliases() -> None:
    with apply_routes(ONE, aliases=["default", "other"]):
        assert served() == served("other") == {"test.one"}


def test_an_unknown_alias_changes_nothing() -> None:
    with pytest.raises(KeyError, match="unknown"), apply_routes(ONE, aliases=["other", "unknown"]):
        pass  # pragma: no cover
    assert served("other") == {"test.real"}


def test_nested() -> None:
    again = apply_routes(ONE)
    with again:
        with apply_routes(TWO):
            assert served() == {"test.two"}
            with again:
                assert served() == {"test.one"}
            assert served() == {"test.two"}
        assert served() == {"test.one"}


def test_routes_added_meanwhile_are_gone_afterwards() -> None:
    routes = [ONE]
    with apply_routes(routes):
        channel_layers["default"].router.add_route(TWO)
    with apply_routes(routes):
        assert served() == {"test.one"}


def test_a_decorated_function() -> None:
    @apply_routes(ONE)
    def function(argument: int) -> tuple[int, set[str]]:
        """Documented."""
        return argument, served()

    assert function(7) == function(7) == (7, {"test.one"})
    assert (function.__name__, function.__doc__) == ("function", "Documented.")
    assert list(inspect.signature(function).parameters) == ["argument"]


async def test_a_decorated_coroutine_function() -> None:
    @apply_routes(ONE)
    async def function() -> set[str]:
        return served()

    assert await function() == {"test.one"}


@apply_routes(ONE)
def test_a_decorated_test(request: pytest.FixtureRequest) -> None:
    assert served() == {"test.one"}


def run(*tests: unittest.TestCase) -> None:
    result = unittest.TestResult()
    unittest.TestSuite(tests).run(result)
    assert [text for _, text in result.errors + result.failures] == []
    assert result.testsRun == len(tests)


@pytest.mark.parametrize("base", [unittest.TestCase, SimpleTestCase, ChannelTestCase])
@pytest.mark.django_db
def test_a_decorated_test_case(base: type[unittest.TestCase]) -> None:
    @apply_routes([[ONE], [TWO]])
    class Case(base):  # type: ignore[misc, valid-type]
        def setUp(self) -> None:
            self.check()
            self.addCleanup(self.check)

        def check(self) -> None:
            assert served() == {"test.one", "test.two"}

        def test_first(self) -> None:
            self.check()

        def test_second(self) -> None:
            self.check()

        @apply_routes(TWO)
        def test_with_a_decorator_of_its_own(self) -> None:
            assert served() == {"test.two"}

    class Sub(Case):
        def setUp(self) -> None:
            """Without super()."""

    names = ["test_first", "test_second", "test_with_a_decorator_of_its_own"]
    run(*(case(name) for case in [Case, Sub] for name in names))


def test_an_unknown_alias_fails_the_decorated_test_case() -> None:
    @apply_routes(ONE, aliases=["unknown"])
    class Case(unittest.TestCase):
        def test(self) -> None: ...

    result = unittest.TestResult()
    Case("test").run(result)
    assert "no channel layer 'unknown'" in result.errors[0][1]


@apply_routes(ONE)
class TestDecorated:
    """A class of pytest."""

    attribute = "left alone"

    def test_routes(self, tmp_path: object) -> None:
        assert served() == {"test.one"}
        assert self.helper() == {"test.one"}
        assert self.attribute == "left alone"

    async def test_routes_in_a_coroutine(self) -> None:
        assert served() == {"test.one"}

    def helper(self) -> set[str]:
        return served()
