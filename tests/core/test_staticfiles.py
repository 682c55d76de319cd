"""Static files during development."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from channels.asgi import ChannelLayerWrapper
from channels.handler import ViewConsumer
from channels.staticfiles import StaticFilesConsumer, StaticFilesHandler, default_http_consumer

from .tools import REPLIES, drain, request_message

Layer = ChannelLayerWrapper
pytestmark = pytest.mark.urls("tests.core.urls")


@pytest.fixture(autouse=True)
def static_file(tmp_path: Path, settings: Any) -> Path:
    """A static file ``/static/own/file.txt``."""
    (tmp_path / "own").mkdir()
    path = tmp_path / "own" / "file.txt"
    path.write_bytes(b"static content")
    settings.STATICFILES_DIRS = [str(tmp_path)]
    return path


def respond(layer: Any, path: str) -> list[dict[str, Any]]:
    return list(StaticFilesHandler(request_message(layer, path=path)))


def test_static_files_are_served(layer: Layer) -> None:
    replies = respond(layer, "/static/own/file.txt")
    assert replies[0]["status"] == 200
    assert (b"Content-Type", b"text/plain") in replies[0]["headers"]
    assert b"".join(reply.get("content", b"") for reply in replies) == b"static content"


def test_a_static_file_that_is_not_there_gets_404(layer: Layer) -> None:
    assert respond(layer, "/static/own/none.txt")[0]["status"] == 404


def test_other_paths_go_to_the_views_with_their_middleware(layer: Layer, settings: Any) -> None:
    settings.MIDDLEWARE = ["tests.core.middleware.noting"]
    [reply] = respond(layer, "/hello/")
    assert reply["content"] == b"hello"
    assert (b"X-Noted", b"yes") in reply["headers"]


def test_nothing_is_served_when_static_url_is_on_another_host(layer: Layer, settings: Any) -> None:
    settings.STATIC_URL = "https://cdn.example.com/static/"
    assert respond(layer, "/static/own/file.txt")[0]["status"] == 404
    [reply] = respond(layer, "/hello/")
    assert reply["status"] == 200


def test_the_static_files_consumer_is_a_view_consumer(layer: Layer) -> None:
    consumer = StaticFilesConsumer()
    assert isinstance(consumer, ViewConsumer)
    consumer(request_message(layer, path="/static/own/file.txt"))
    consumer(request_message(layer, path="/hello/"))
    file, end, view = drain(layer, REPLIES)
    assert file["content"] == b"static content"
    assert end["more_content"] is False
    assert view["content"] == b"hello"


@pytest.mark.parametrize(
    ("debug", "installed", "use_static", "expected"),
    [
        (True, True, None, StaticFilesConsumer),
        (False, True, None, ViewConsumer),
        (True, False, None, ViewConsumer),
        (False, True, True, StaticFilesConsumer),
        (True, True, False, ViewConsumer),
        (True, False, True, ViewConsumer),
    ],
)
def test_the_default_consumer_serves_static_files_with_debug_and_the_app(
    settings: Any, debug: bool, installed: bool, use_static: bool | None, expected: type
) -> None:
    settings.DEBUG = debug
    if not installed:
        settings.INSTALLED_APPS = ["channels"]
    assert type(default_http_consumer(use_static)) is expected
