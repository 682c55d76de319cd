"""The wire format."""

from __future__ import annotations

from typing import Any

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


@settings(max_examples=60)
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


def test_a_packed_message_is_what_it_was_made_of() -> None:
    message = {"text": "x", "list": [1, {"n": b"2"}]}
    packed = codec.Packed(codec.encode(message))
    assert codec.encode(packed) == codec.encode(message)
    assert packed == message
    assert dict(packed) == message
    assert (packed["text"], "no" in packed, len(packed), list(packed)) == (
        "x",
        False,
        2,
        ["text", "list"],
    )
    assert repr(packed) == f"<Packed {message!r}>"


class EncodingDict(dict[str, object]):
    """While it is encoded, it encodes another message."""

    def items(self) -> Any:
        self.other = codec.encode({"other": [1, 2, 3]})
        return super().items()


def test_messages_that_are_encoded_at_the_same_time_do_not_mix() -> None:
    message = EncodingDict(n=1)
    assert codec.decode(codec.encode(message)) == {"n": 1}
    assert codec.decode(message.other) == {"other": [1, 2, 3]}


def test_a_message_that_failed_leaves_nothing_in_the_next_one() -> None:
    for _ in range(3):
        with pytest.raises(TypeError, match="surrogate"):
            codec.encode({"a": "x", "b": "\ud800"})
        assert codec.decode(codec.encode({"n": 1})) == {"n": 1}


def test_no_packer_is_kept_that_has_held_a_large_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "packers", [])
    codec.encode({"n": b"x" * codec.LARGE})
    assert codec.packers == []
    codec.encode({"n": 1})
    assert len(codec.packers) == 1
