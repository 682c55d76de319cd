"""What the tests of faults share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from channels.exceptions import ChannelLayerUnavailable
from channels.test.layer_cases.base import receive_soon


@contextmanager
def unavailable(*words: str) -> Iterator[pytest.ExceptionInfo[ChannelLayerUnavailable]]:
    """The block raises the layer's error, with ``words`` in it, and without the password."""
    with pytest.raises(ChannelLayerUnavailable) as raised:
        yield raised
    for word in words:
        assert word in str(raised.value)
    assert "wr0ng" not in str(raised.value)
    assert raised.value.__cause__ is not None


def assert_a_child_can_send(layer: Any, lock: Any) -> None:
    """A child that is forked while another thread would have ``lock`` sends a message."""
    with lock:
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                layer.send("from.child", {"n": 1})
                code = 0
            finally:
                os._exit(code)
    assert receive_soon(layer, ["from.child"]) == ("from.child", {"n": 1})
    assert os.waitpid(pid, 0)[1] == 0
