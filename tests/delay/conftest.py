import time

import pytest

from channels.delay.worker import Worker
from channels.layers.memory import InMemoryChannelLayer

#: Seconds after which a server in a test is given up.
PATIENCE = 20


class TestServer(Worker):
    """A delay server in the test's own thread, which ends when ``until()`` is true."""

    __test__ = False

    def __init__(self, layer, until, sleep):
        self._until = until
        self._deadline = time.monotonic() + PATIENCE
        super().__init__(layer, signal_handlers=False, database_sleep_duration=sleep)

    @property
    def termed(self):
        assert time.monotonic() < self._deadline, "The delay server did not get there in time."
        return bool(self._until())

    @termed.setter
    def termed(self, value):
        """What the worker sets at its start: here the test decides."""


@pytest.fixture
def layer():
    return InMemoryChannelLayer()


@pytest.fixture
def serve(layer, db, caplog):
    """Run a delay server until ``until()`` is true."""
    caplog.set_level("INFO", logger="django.channels")

    def run(until, sleep=0.02, layer=layer):
        TestServer(layer, until, sleep).run()

    return run


@pytest.fixture
def pending(layer):
    """How many messages wait in a channel."""
    return lambda channel: layer.channel_statistics(channel)["messages_pending"]


@pytest.fixture(autouse=True)
def _short_rests(monkeypatch):
    """Outages in tests are short, and so are the server's pauses."""
    monkeypatch.setattr("channels.delay.worker.ERROR_PAUSE", 0.02)
