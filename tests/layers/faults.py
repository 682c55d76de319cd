"""What the tests of faults share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from channels.exceptions import ChannelLayerUnavailable


@contextmanager
def unavailable(*words: str) -> Iterator[pytest.ExceptionInfo[ChannelLayerUnavailable]]:
    """The block raises the layer's error, with ``words`` in it, and without the password."""
    with pytest.raises(ChannelLayerUnavailable) as raised:
        yield raised
    for word in words:
        assert word in str(raised.value)
    assert "wr0ng" not in str(raised.value)
    assert raised.value.__cause__ is not None
