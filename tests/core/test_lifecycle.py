"""The signals around a consumer, and what they do to database connections."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections
from django.test import TestCase

from channels import route
from channels.lifecycle import run_consumer
from channels.message import Message
from channels.signals import consumer_finished, consumer_started

from .conftest import MakeLayer
from .tools import CountedWorker, problems, work


@pytest.fixture
def sent() -> Iterator[list[tuple[str, Any, dict[str, Any]]]]:
    """The signals that were sent: which, sender and keywords."""
    calls: list[tuple[str, Any, dict[str, Any]]] = []

    def started(sender: Any, signal: Any, **kwargs: Any) -> None:
        calls.append(("started", sender, kwargs))

    def finished(sender: Any, signal: Any, **kwargs: Any) -> None:
        calls.append(("finished", sender, kwargs))

    consumer_started.connect(started)
    consumer_finished.connect(finished)
    yield calls
    consumer_started.disconnect(started)
    consumer_finished.disconnect(finished)


def test_a_worker_sends_the_signals_with_its_class_as_sender(
    make_layer: MakeLayer, sent: list[Any]
) -> None:
    layer = make_layer([route("a", lambda message: sent.append("consumer"))])
    layer.send("a", {})
    work(layer)
    assert sent == [
        ("started", CountedWorker, {"environ": {}}),
        "consumer",
        ("finished", CountedWorker, {}),
    ]


def test_consumer_finished_is_sent_when_the_consumer_raises(
    make_layer: MakeLayer, sent: list[Any]
) -> None:
    layer = make_layer([route("a", lambda message: 1 / 0)])
    layer.send("a", {})
    work(layer)
    assert [name for name, _, _ in sent] == ["started", "finished"]


def test_a_receiver_that_fails_at_the_end_does_not_hide_the_result(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def failing(**kwargs: Any) -> None:
        raise RuntimeError("on purpose")

    consumer_finished.connect(failing)
    try:
        message = Message({}, None, None)
        assert run_consumer(lambda message: 5, message, {}, sender=object) == 5
    finally:
        consumer_finished.disconnect(failing)
    assert len(problems(caplog)) == 1


@pytest.fixture
def stale_database(tmp_path: Path, django_db_blocker: Any) -> Iterator[Any]:
    """A connection to a real database, outside any transaction, which counts as stale."""
    alias = "stale"
    settings = {**connections.settings["default"], "NAME": str(tmp_path / "db.sqlite3")}
    connections.settings[alias] = settings
    connections.databases[alias] = settings
    with django_db_blocker.unblock():
        wrapper = connections[alias]
        wrapper.ensure_connection()
        yield wrapper
        wrapper.close()
    del connections[alias]
    del connections.settings[alias]


def make_stale(wrapper: Any) -> None:
    wrapper.ensure_connection()
    wrapper.close_at = 0


def test_stale_connections_are_closed_before_and_after_each_consumer(
    make_layer: MakeLayer, stale_database: Any
) -> None:
    seen: list[Any] = []

    def consumer(message: Message) -> None:
        seen.append(stale_database.connection)
        make_stale(stale_database)

    layer = make_layer([route("a", consumer)])
    make_stale(stale_database)
    layer.send("a", {})
    work(layer)
    assert seen == [None]
    assert stale_database.connection is None


def test_stale_connections_are_closed_when_the_consumer_raises(
    make_layer: MakeLayer, stale_database: Any
) -> None:
    def consumer(message: Message) -> None:
        make_stale(stale_database)
        raise RuntimeError

    layer = make_layer([route("a", consumer)])
    layer.send("a", {})
    work(layer)
    assert stale_database.connection is None


def test_connections_that_may_live_on_are_kept(make_layer: MakeLayer, stale_database: Any) -> None:
    stale_database.close_at = None
    before = stale_database.connection
    layer = make_layer([route("a", lambda message: None)])
    layer.send("a", {})
    work(layer)
    assert stale_database.connection is before


def test_stale_connections_are_closed_in_each_thread(
    make_layer: MakeLayer, stale_database: Any
) -> None:
    closed: list[bool] = []

    def consumer(message: Message) -> None:
        make_stale(connections["stale"])

    layer = make_layer([route("a", consumer)])
    layer.send("a", {})

    def serve() -> None:
        work(layer)
        closed.append(connections["stale"].connection is None)

    thread = threading.Thread(target=serve)
    thread.start()
    thread.join()
    assert closed == [True]


class InATestCase(TestCase):
    """Django's own ``TestCase`` wraps each test in a transaction."""

    def test_its_connection_is_never_closed(self) -> None:
        inside: list[Any] = []
        before = connection.connection
        connection.close_at = 0
        try:
            run_consumer(
                lambda message: inside.append(connection.connection),
                Message({}, None, None),
                {},
                sender=object,
            )
        finally:
            connection.close_at = None
        assert before is not None
        assert inside == [before]
        assert connection.connection is before
        assert connection.in_atomic_block
