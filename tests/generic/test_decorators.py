from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from channels.generic import decorators

Decorator = Callable[[Any], Any]


def naming(name: str) -> Decorator:
    """A decorator that puts ``name`` in front of the handler's result."""
    return lambda handler: lambda: [name, *handler()]


@pytest.fixture(autouse=True)
def table(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table with the real attributes, whose decorators tell their names."""
    named = tuple({name: naming(name) for name in line} for line in decorators.DECORATORS)
    monkeypatch.setattr(decorators, "DECORATORS", named)


@pytest.mark.parametrize(
    ("attributes", "applied"),
    [
        ([], []),
        (["channel_session"], ["channel_session"]),
        (["channel_session_user", "channel_session"], ["channel_session_user"]),
        (["http_user", "channel_session_user"], ["http_user"]),
        (["http_user", "http_user_and_session"], ["http_user_and_session"]),
        (["channel_session", "strict_ordering"], ["strict_ordering", "channel_session"]),
        (["http_user", "strict_ordering"], ["strict_ordering", "http_user"]),
    ],
)
def test_ordering_is_outermost_and_of_the_sessions_the_richest_is_enough(
    attributes: list[str], applied: list[str]
) -> None:
    owner = SimpleNamespace(**dict.fromkeys(attributes, True))

    assert decorators.decorate(list, owner)() == applied
