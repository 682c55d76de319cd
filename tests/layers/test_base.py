"""What the base class of layers promises to layers that build on it."""

from __future__ import annotations

from typing import Any

import pytest

from channels.layers import BaseChannelLayer


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
