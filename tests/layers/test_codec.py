"""The wire format."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.layers import codec

KEYS = st.text() | st.integers(-(2**63), 2**63 - 1)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner),
    max_leaves=10,
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.text(), VALUES))
def test_every_permitted_message_arrives_as_it_was(message: dict[str, object]) -> None:
    assert codec.decode(codec.encode(message)) == message


def test_a_message_starts_with_the_wire_version() -> None:
    assert codec.encode({})[0] == codec.WIRE_VERSION == 1


def test_another_wire_version_is_an_error_that_names_both() -> None:
    with pytest.raises(ValueError, match=r"wire format 7.*reads wire formats 1 and 2"):
        codec.decode(b"\x07" + codec.encode({})[1:])


def test_an_empty_message_is_an_error() -> None:
    with pytest.raises(ValueError, match="it is empty"):
        codec.decode(b"")


def test_nesting_ends_at_a_limit_that_both_sides_bear() -> None:
    def nested(depth: int) -> dict[str, object]:
        value: object = 1
        for _ in range(depth):
            value = [value]
        return {"v": value}

    deepest = nested(codec.NESTING_LIMIT - 1)
    assert codec.decode(codec.encode(deepest)) == deepest
    with pytest.raises(TypeError, match="deeper than 100"):
        codec.encode(nested(codec.NESTING_LIMIT))


def test_unusual_keys_are_quoted_in_the_path() -> None:
    with pytest.raises(TypeError) as raised:
        codec.encode({'a"b': {5: [object()]}})
    assert str(raised.value).startswith(r'content["a\"b"][5][0]: object')
