import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.delay.stored import PACKED, dump, load
from channels.layers import codec

ATOMS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.binary()
)
VALUES = st.recursive(
    ATOMS,
    lambda inner: st.lists(inner) | st.dictionaries(st.text("ab_") | st.integers(-9, 9), inner),
    max_leaves=8,
)
CONTENTS = st.dictionaries(st.sampled_from(["text", "bytes", PACKED]), VALUES)


@given(CONTENTS)
def test_content_comes_back_as_a_channel_layer_would_carry_it(content):
    """Also bytes, numbers as keys, and a content that looks like a packed one."""
    text = dump(content)
    # repr() tells 1 from True and 1.0, which == does not.
    assert repr(load(text)) == repr(codec.decode(codec.encode(content)))


def test_what_json_can_carry_is_stored_as_plain_json():
    """People read and write these rows with other tools."""
    content = {"text": "hé\x00", "list": [1, 2.5, None, True], "deep": {"a": {}}}
    assert json.loads(dump(content)) == content
    assert dump(content).isascii()


def test_numbers_that_strict_json_lacks_survive():
    assert math.isnan(load(dump({"n": math.nan}))["n"])
    assert load(dump({"n": -math.inf})) == {"n": -math.inf}


def test_a_tuple_arrives_as_a_list_as_it_does_through_a_layer():
    assert load(dump({"pair": (1, b"2")})) == {"pair": [1, b"2"]}


@pytest.mark.parametrize("content", [{"when": object()}, {1: "a"}, ["no", "dict"], {"n": 2**64}])
def test_what_cannot_travel_is_refused_when_it_is_stored(content):
    with pytest.raises(TypeError):
        dump(content)


def test_the_refusal_names_the_place():
    with pytest.raises(TypeError, match=r'content\["a"\]\[0\]: object cannot travel'):
        dump({"a": [object()]})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[1]",
        '"text"',
        "null",
        f'{{"{PACKED}": 5}}',
        f'{{"{PACKED}": "????"}}',
        "[" * 99999,
    ],
)
def test_text_that_holds_no_content_is_a_value_error(text):
    with pytest.raises(ValueError, match="Its stored content"):
        load(text)
