"""What may come from outside, and a worker that lives through it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.test import SimpleTestCase
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TransactionTestCase as HypothesisTransactionTestCase

from channels import channel_layers
from channels.asgi import ChannelLayerWrapper
from channels.test.base import ChannelTestCaseMixin
from channels.worker import Worker

#: Without a deadline, as the machine may be busy; the same examples in every run but for new code.
bounded = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    database=None,
    # A failure is reported as it was found: to make it smaller takes minutes.
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 10)
    | st.integers()
    | st.floats()
    | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=5,
)

#: What a layer carries: 64 bits, and everything else that JSON has, with bytes.
numbers = st.integers(-(2**63), 2**63 - 1)
wire_values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(max_size=10) | st.binary(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=4,
)


def mostly(usual: st.SearchStrategy[Any], rare: st.SearchStrategy[Any]) -> Any:
    """``usual`` in most cases: examples in which nothing is right do not get far."""
    return st.sampled_from([usual] * 9 + [rare]).flatmap(lambda chosen: chosen)


def frames(texts: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """The part of a ``websocket.receive`` message that the client chooses."""
    good = texts.map(lambda value: {"text": json.dumps(value)})
    raw = st.text(max_size=20).map(lambda text: {"text": text})
    data = st.binary(max_size=20).map(lambda value: {"bytes": value})
    odd = st.sampled_from(["[" * 5000, '{"a":' * 5000, "NaN", "1e999", '"\\ud800"', ""])
    return mostly(good, raw | data | odd.map(lambda text: {"text": text}))


class FuzzCase(ChannelTestCaseMixin, HypothesisTransactionTestCase):
    """Runs every example without Django's set-up, which takes longer than the examples.

    So each of them has to begin with its own.
    """

    def __call__(self, result: Any = None) -> Any:
        return SimpleTestCase.__call__(self, result)

    def setup_example(self) -> None: ...

    def teardown_example(self, example: Any) -> None: ...


class OneRunWorker(Worker):
    """A worker that ends when there is nothing left to do."""

    @property
    def termed(self) -> bool:
        layer = self.channel_layer
        return not any(
            layer.channel_statistics(channel)["messages_pending"]
            for channel in layer.router.channels
        )

    @termed.setter
    def termed(self, value: bool) -> None: ...


class Site:
    """A project with an in-memory layer and a worker, both of them ours to look into."""

    def __init__(self) -> None:
        self.layer: ChannelLayerWrapper = channel_layers["default"]
        self.layer.router.check_default()

    def work(self) -> None:
        """Handle everything that waits; whatever is raised is an error of the worker."""
        OneRunWorker(self.layer, signal_handlers=False).run()

    def send(self, channel: str, **content: Any) -> None:
        """Send, if the layer takes it, and handle it."""
        try:
            self.layer.send(channel, content)
        except (TypeError, ValueError):
            # Refused where it is sent: the interface server never makes such a message.
            return
        self.work()

    def replies(self, reply_channel: str) -> Iterator[dict[str, Any]]:
        """What was sent to a socket."""
        process = reply_channel[: reply_channel.index("!") + 1]
        while True:
            name, content = self.layer.receive([process])
            if name is None:
                return
            if name == reply_channel:
                yield content


class SocketOf:
    """A client's socket, with messages in the shape in which the interface server sends them."""

    def __init__(self, site: Site, path: str, number: int = 1) -> None:
        self.site = site
        self.path = path
        self.reply_channel = f"websocket.send.fuzz!{number}"
        self.order = 0

    def connect(self, **content: Any) -> None:
        self._send("websocket.connect", **content)

    def receive(self, frame: dict[str, Any]) -> None:
        self._send("websocket.receive", **frame)

    def disconnect(self, code: int = 1001) -> None:
        self._send("websocket.disconnect", code=code)

    def texts(self) -> list[str]:
        return [
            str(reply["text"])
            for reply in self.site.replies(self.reply_channel)
            if "text" in reply
        ]

    def _send(self, channel: str, **content: Any) -> None:
        self.site.send(
            channel,
            **{
                "reply_channel": self.reply_channel,
                "path": self.path,
                "order": self.order,
                **content,
            },
        )
        self.order += 1


def channel_session_rows() -> int:
    return Session.objects.filter(session_key__startswith="chn").count()


@contextmanager
def quiet() -> Iterator[list[logging.LogRecord]]:
    """Collects what the library logs, instead of showing hundreds of tracebacks."""
    records: list[logging.LogRecord] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    logger, collector = logging.getLogger("django"), Collector()
    before = logger.handlers[:], logger.level
    logger.handlers, logger.level = [collector], logging.ERROR
    logger.manager._clear_cache()  # type: ignore[attr-defined]
    try:
        yield records
    finally:
        logger.handlers, logger.level = before
        logger.manager._clear_cache()  # type: ignore[attr-defined]


def of_the_library(records: list[logging.LogRecord]) -> list[str]:
    """Complaints about what only the library itself can have got wrong."""
    wrong = ("cannot receive", "could not be removed", "is lost", "thread died")
    return [text for record in records if any(w in (text := record.getMessage()) for w in wrong)]


def log_in(user: User) -> str:
    """The key of an HTTP session in which ``user`` is logged in."""
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    key = session.session_key
    assert key
    return key
