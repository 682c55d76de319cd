"""From request messages to response messages, through Django's view layer."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.core.exceptions import RequestDataTooBig
from django.core.signals import request_finished, request_started
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import get_script_prefix

from channels.asgi import ChannelLayerWrapper
from channels.handler import AsgiHandler, AsgiRequest

from .test_request import BODY_CHANNEL, FORM
from .tools import problems, request_message
from .urls import notes

Layer = ChannelLayerWrapper
pytestmark = pytest.mark.urls("tests.core.urls")


@pytest.fixture(autouse=True)
def no_notes() -> Iterator[None]:
    notes.clear()
    yield
    notes.clear()


def respond(layer: Any, path: str, **content: Any) -> list[dict[str, Any]]:
    """The response messages of a request for ``path``."""
    return list(AsgiHandler(request_message(layer, path=path, **content)))


# Views


def test_an_async_view_is_run(layer: Layer) -> None:
    [reply] = respond(layer, "/async-hello/")
    assert (reply["status"], reply["content"]) == (200, b"async hello")


def test_a_form_reaches_the_view(layer: Layer) -> None:
    [reply] = respond(layer, "/echo/", method="POST", headers=[FORM], body=b"a=1")
    assert json.loads(reply["content"]) == {"post": {"a": "1"}, "files": {}}


def test_the_handler_is_an_iterator_that_runs_the_view_when_asked(layer: Layer) -> None:
    handler = AsgiHandler(request_message(layer, path="/stream/", query_string=b"n=2"))
    assert next(handler)["content"] == b"0"
    assert list(handler) == [
        {"content": b"1", "more_content": True},
        {"more_content": False},
    ]
    assert notes == ["closed"]


def test_two_requests_at_once_do_not_see_each_others_response(layer: Layer) -> None:
    handler = AsgiHandler()
    first = handler(request_message(layer, path="/stream/", query_string=b"n=3"))
    second = handler(request_message(layer, path="/stream/", query_string=b"n=1"))
    order = [next(first), next(second), next(first), next(second), next(first), next(first)]
    assert [reply.get("content", b"") for reply in order] == [b"0", b"0", b"1", b"", b"2", b""]


@pytest.mark.parametrize("name", ["noting", "either", "OnlyAsync"])
@pytest.mark.parametrize("path", ["/hello/", "/async-hello/"])
def test_middleware_of_every_kind_is_run(
    layer: Layer, settings: Any, name: str, path: str
) -> None:
    settings.MIDDLEWARE = [f"tests.core.middleware.{name}"]
    [reply] = respond(layer, path)
    assert notes[1] == 200
    assert (b"X-Noted", b"yes") in reply["headers"]


def test_a_form_is_readable_in_middleware_and_view(layer: Layer, settings: Any) -> None:
    settings.MIDDLEWARE = ["tests.core.middleware.noting"]
    [reply] = respond(layer, "/echo/", method="POST", headers=[FORM], body=b"a=1")
    assert notes[0] == {"a": "1"}
    assert json.loads(reply["content"])["post"] == {"a": "1"}


def test_get_response_may_be_overridden(layer: Layer) -> None:
    class Own(AsgiHandler):
        def get_response(self, request: HttpRequest) -> HttpResponse:
            return HttpResponse(b"own")

    [reply] = Own(request_message(layer))
    assert reply["content"] == b"own"


def test_the_script_prefix_is_set_for_reverse(layer: Layer) -> None:
    respond(layer, "/app/hello/", root_path="/app")
    assert get_script_prefix() == "/app/"
    respond(layer, "/hello/")
    assert get_script_prefix() == "/"


def test_the_request_signals_are_sent(layer: Layer) -> None:
    calls: list[Any] = []

    def started(sender: Any, **kwargs: Any) -> None:
        calls.append(("started", sender))

    def finished(sender: Any, **kwargs: Any) -> None:
        calls.append(("finished", sender))

    request_started.connect(started)
    request_finished.connect(finished)
    try:
        respond(layer, "/hello/")
        respond(layer, "/later/")
        layer.send(BODY_CHANNEL, {"closed": True})
        respond(layer, "/hello/", body_channel=BODY_CHANNEL)
    finally:
        request_started.disconnect(started)
        request_finished.disconnect(finished)
    assert calls == [("started", AsgiHandler), ("finished", AsgiHandler)] * 3


# Errors


def test_a_failing_view_gets_500(layer: Layer) -> None:
    [reply] = respond(layer, "/error/")
    assert reply["status"] == 500
    assert b"the view fails" not in reply["content"]


def test_an_unknown_path_gets_404(layer: Layer) -> None:
    assert respond(layer, "/nowhere/")[0]["status"] == 404


@pytest.mark.parametrize("debug", [False, True])
def test_an_error_of_the_core_gets_a_plain_500_and_a_traceback_only_with_debug(
    layer: Layer, settings: Any, caplog: pytest.LogCaptureFixture, debug: bool
) -> None:
    class Broken(AsgiHandler):
        def get_response(self, request: HttpRequest) -> HttpResponse:
            raise RuntimeError("the core fails")

    settings.DEBUG = debug
    [reply] = Broken(request_message(layer, path="/x"))
    assert reply["status"] == 500
    assert (b"Content-Type", b"text/plain") in reply["headers"]
    assert (b"the core fails" in reply["content"]) is debug
    assert debug or reply["content"] == b"Internal Server Error"
    [record] = [record for record in problems(caplog) if record.name == "django.request"]
    assert record.exc_info


def test_errors_can_be_let_through_for_debugging(layer: Layer, settings: Any) -> None:
    settings.DEBUG_PROPAGATE_EXCEPTIONS = True
    with pytest.raises(RuntimeError, match="the view fails"):
        respond(layer, "/error/")


def test_a_body_that_does_not_come_gets_408(
    layer: Layer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(AsgiRequest, "body_receive_timeout", 0.05)
    [reply] = respond(layer, "/hello/", body_channel=BODY_CHANNEL)
    assert reply["status"] == 408
    assert [record.levelname for record in problems(caplog)] == ["WARNING"]


def test_a_client_that_leaves_in_mid_body_gets_no_answer(layer: Layer) -> None:
    layer.send(BODY_CHANNEL, {"closed": True})
    assert respond(layer, "/hello/", body_channel=BODY_CHANNEL) == []


@pytest.mark.parametrize("content", [{"query_string": b"\xff"}, {"path": b"/\xff"}])
def test_an_undecodable_request_gets_400(layer: Layer, content: dict[str, Any]) -> None:
    [reply] = AsgiHandler(request_message(layer, **content))
    assert reply["status"] == 400


def test_a_request_that_is_too_large_gets_413(layer: Layer) -> None:
    class Picky(AsgiRequest):
        def __init__(self, message: Any) -> None:
            raise RequestDataTooBig

    class Handler(AsgiHandler):
        request_class = Picky

    [reply] = Handler(request_message(layer))
    assert reply["status"] == 413


# ResponseLater


@pytest.mark.parametrize("path", ["/later/", "/async-later/"])
@pytest.mark.parametrize("name", [None, "noting", "OnlyAsync"])
def test_response_later_sends_nothing_and_middleware_sees_a_response(
    layer: Layer,
    settings: Any,
    caplog: pytest.LogCaptureFixture,
    path: str,
    name: str | None,
) -> None:
    settings.MIDDLEWARE = [f"tests.core.middleware.{name}"] if name else []
    assert respond(layer, path) == []
    assert path.strip("/").replace("-", " ") in notes
    assert name is None or notes[-1] == 200
    assert problems(caplog) == []


@pytest.mark.django_db(transaction=True)
def test_response_later_commits_with_atomic_requests(
    layer: Layer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.db import connection

    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    assert respond(layer, "/save-and-later/") == []
    assert Session.objects.filter(session_key="kept").exists()


# Encoding


def encode(response: Any) -> list[dict[str, Any]]:
    return list(AsgiHandler.encode_response(response))


def test_headers_are_bytes_with_their_case_and_nothing_is_added() -> None:
    response = HttpResponse(b"x", status=201, content_type="text/plain")
    response["X-CaSe"] = "\xe9"
    [message] = encode(response)
    assert message["status"] == 201
    assert [(k, v) for k, v in message["headers"] if k != b"X-CaSe"] == [
        (b"Content-Type", b"text/plain")
    ]
    assert [k for k, _ in message["headers"]] == [b"Content-Type", b"X-CaSe"]


def test_each_cookie_has_its_own_header() -> None:
    response = HttpResponse()
    response.set_cookie("a", "1")
    response.set_cookie("b", "2", httponly=True)
    [message] = encode(response)
    cookies = [value for name, value in message["headers"] if name == b"Set-Cookie"]
    assert cookies == [b"a=1; Path=/", b"b=2; HttpOnly; Path=/"]


def test_an_empty_response_is_one_message() -> None:
    [message] = encode(HttpResponse(status=204))
    assert (message["status"], message["content"], message["more_content"]) == (204, b"", False)


def test_an_empty_streaming_response_still_sends_status_and_headers() -> None:
    [message] = encode(StreamingHttpResponse(iter([]), content_type="text/plain"))
    assert message == {
        "status": 200,
        "headers": [(b"Content-Type", b"text/plain")],
        "more_content": False,
    }


class SmallChunks(AsgiHandler):
    chunk_size = 3


@pytest.mark.parametrize(
    ("data", "chunks"),
    [
        (b"", [(b"", True)]),
        (b"abc", [(b"abc", True)]),
        (b"abcd", [(b"abc", False), (b"d", True)]),
        (b"abcdef", [(b"abc", False), (b"def", True)]),
    ],
)
def test_content_is_cut_into_chunks(data: bytes, chunks: list[tuple[bytes, bool]]) -> None:
    assert AsgiHandler.chunk_size == 512 * 1024
    assert list(SmallChunks.chunk_bytes(data)) == chunks
    messages = list(SmallChunks.encode_response(HttpResponse(data)))
    assert [(m["content"], not m["more_content"]) for m in messages] == chunks
    assert [m.get("status") for m in messages] == [200] + [None] * (len(chunks) - 1)


def test_the_parts_of_a_stream_are_cut_into_chunks() -> None:
    messages = list(SmallChunks.encode_response(StreamingHttpResponse(iter([b"abcd", b"e"]))))
    assert [m.get("content") for m in messages] == [b"abc", b"d", b"e", None]


def test_a_file_streams_in_chunks(layer: Layer) -> None:
    class Handler(AsgiHandler):
        chunk_size = 1000

    *chunks, last = Handler(request_message(layer, path="/file/"))
    assert sum(len(chunk["content"]) for chunk in chunks) == notes[0]
    assert {len(chunk["content"]) for chunk in chunks[:-1]} == {1000}
    assert last == {"more_content": False}


# Closing


def test_a_response_is_closed(layer: Layer) -> None:
    respond(layer, "/hello/")
    assert notes == ["closed"]


def test_a_response_is_closed_when_its_stream_breaks(layer: Layer) -> None:
    with pytest.raises(RuntimeError, match="the stream breaks"):
        respond(layer, "/broken-stream/")
    assert notes == ["closed"]


def test_a_response_is_closed_when_its_reader_stops(layer: Layer) -> None:
    replies = AsgiHandler()(request_message(layer, path="/stream/", query_string=b"n=9"))
    next(replies)
    replies.close()  # type: ignore[attr-defined]
    assert notes == ["closed"]


def test_nothing_is_logged_for_a_good_response(
    layer: Layer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    respond(layer, "/hello/")
    assert problems(caplog) == []
