from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db.models.signals import post_delete, post_save, pre_delete, pre_save

from channels.binding.registry import registry
from tests.generic.conftest import layer

__all__ = ["layer"]


@pytest.fixture(autouse=True)
def only_own_bindings() -> Iterator[None]:
    """The bindings that a test defines are gone after it."""
    before = registry.binding_classes[:], registry.register_immediately
    signals = pre_save, post_save, pre_delete, post_delete
    receivers = [signal.receivers[:] for signal in signals]
    yield
    registry.binding_classes[:], registry.register_immediately = before
    for signal, known in zip(signals, receivers, strict=True):
        with signal.lock:
            signal.receivers = known
            signal.sender_receivers_cache.clear()
