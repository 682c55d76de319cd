"""Requests made from messages."""

from __future__ import annotations

import tempfile
import threading
import time
from typing import Any

import pytest
from django.http import HttpRequest

from channels.asgi import ChannelLayerWrapper
from channels.exceptions import RequestAborted, RequestTimeout, ResponseLater
from channels.handler import AsgiHandler, AsgiRequest
from channels.message import Message

from .tools import ForeignLayer, request_content, request_message

Layer = ChannelLayerWrapper
FORM = [b"content-type", b"application/x-www-form-urlencoded"]
BODY_CHANNEL = "http.request.body?test"


class Request:
    """Makes requests that are closed after the test."""

    def __init__(self, layer: Any) -> None:
        self.layer = layer
        self.made: list[AsgiRequest] = []

    def __call__(self, **content: Any) -> AsgiRequest:
        request = AsgiRequest(request_message(self.layer, **content))
        self.made.append(request)
        return request


@pytest.fixture
def make(layer: Layer) -> Any:
    make = Request(layer)
    yield make
    for request in make.made:
        request.close()


# META


def test_meta_has_what_django_puts_there(make: Request) -> None:
    meta = make(method="get", path="/a b", query_string=b"x=1", root_path="").META
    assert meta["REQUEST_METHOD"] == "GET"
    assert meta["PATH_INFO"] == "/a b"
    assert meta["QUERY_STRING"] == "x=1"
    assert meta["SCRIPT_NAME"] == ""
    assert (meta["SERVER_NAME"], meta["SERVER_PORT"]) == ("testserver", "80")
    assert (meta["REMOTE_ADDR"], meta["REMOTE_HOST"]) == ("192.0.2.1", "192.0.2.1")
    assert meta["REMOTE_PORT"] == 4321


@pytest.mark.parametrize("server", [None, "absent"])
def test_without_server_there_are_fixed_values(layer: Layer, server: Any) -> None:
    content = request_content(server=server)
    if server:
        del content["server"]
    request = AsgiRequest(Message(content, "http.request", layer))
    assert (request.META["SERVER_NAME"], request.META["SERVER_PORT"]) == ("unknown", "0")
    request.close()


def test_without_client_there_is_no_remote_address(make: Request) -> None:
    assert not [name for name in make(client=None).META if name.startswith("REMOTE_")]


def test_only_path_and_method_are_required(layer: Layer) -> None:
    request = AsgiRequest(Message({"path": "/x", "method": "GET"}, "http.request", layer))
    assert isinstance(request, HttpRequest)
    assert (request.path, request.reply_channel, request.body) == ("/x", None, b"")
    assert request.is_secure() is False
    request.close()


def test_repeated_headers_are_joined_in_meta_and_kept_apart_in_the_message(
    make: Request,
) -> None:
    headers = [[b"x-a", b"1"], [b"x-a", b"2"]]
    request = make(headers=headers)
    assert request.META["HTTP_X_A"] == "1,2"
    assert request.headers["X-A"] == "1,2"
    assert request.message["headers"] == headers


def test_headers_may_be_a_dict(make: Request) -> None:
    request = make(headers={"X-A": b"1", "content-type": b"text/plain; charset=latin-1"})
    assert request.META["HTTP_X_A"] == "1"
    assert request.content_type == "text/plain"
    assert request.encoding == "latin-1"


def test_header_names_may_have_any_case(make: Request) -> None:
    request = make(headers=[[b"Content-Length", b"5"], ["X-B", "text"]], body=b"12345")
    assert request.META["CONTENT_LENGTH"] == "5"
    assert request.headers["x-b"] == "text"


def test_cookies_are_parsed(make: Request) -> None:
    request = make(headers=[[b"cookie", b"a=1; b=2"], [b"cookie", b"c=3"]])
    assert request.COOKIES == {"a": "1", "b": "2", "c": "3"}


@pytest.mark.parametrize(("scheme", "secure"), [("http", False), ("https", True), (None, False)])
def test_the_scheme_drives_is_secure(make: Request, scheme: Any, secure: bool) -> None:
    request = make(scheme=scheme)
    assert request.is_secure() is secure
    assert request.scheme == ("https" if secure else "http")


def test_the_proxy_header_setting_is_heeded(make: Request, settings: Any) -> None:
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    assert make(headers=[[b"x-forwarded-proto", b"https"]]).is_secure()


def test_get_host_is_the_host_header(make: Request) -> None:
    assert make(headers=[[b"host", b"localhost:81"]]).get_host() == "localhost:81"


# Path and query string


def test_the_path_may_be_bytes(make: Request) -> None:
    request = make(path="/é".encode())
    assert request.path == request.path_info == "/é"


@pytest.mark.parametrize("query", [b"a=1%2B2+3&u=%C3%A9", "a=1%2B2+3&u=%C3%A9", "a=1%2B2+3&u=é"])
def test_query_strings_are_decoded_once(make: Request, query: Any) -> None:
    request = make(query_string=query)
    assert request.GET.dict() == {"a": "1+2 3", "u": "é"}
    assert isinstance(request.META["QUERY_STRING"], str)


@pytest.mark.parametrize(
    ("root_path", "force", "script_name", "path_info"),
    [
        ("", None, "", "/app/page"),
        (None, None, "", "/app/page"),
        ("/app", None, "/app", "/page"),
        ("", "/app", "/app", "/page"),
        ("/other", "/app", "/app", "/page"),
    ],
)
def test_root_path_and_force_script_name_are_cut_off_the_path(
    make: Request, settings: Any, root_path: Any, force: Any, script_name: str, path_info: str
) -> None:
    settings.FORCE_SCRIPT_NAME = force
    request = make(path="/app/page", root_path=root_path)
    assert request.META["SCRIPT_NAME"] == script_name
    assert request.META["PATH_INFO"] == request.path_info == path_info
    assert request.path == "/app/page"


# Bodies


def test_forms_are_parsed(make: Request) -> None:
    request = make(method="POST", headers=[FORM], body=b"a=1&b=%C3%A9")
    assert request.POST.dict() == {"a": "1", "b": "é"}
    assert request.FILES == {}


def test_files_are_parsed(make: Request) -> None:
    body = (
        b'--B\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
        b'--B\r\nContent-Disposition: form-data; name="f"; filename="f.txt"\r\n'
        b"Content-Type: text/plain\r\n\r\nthe file\r\n--B--\r\n"
    )
    length = str(len(body)).encode()
    headers = [[b"content-type", b"multipart/form-data; boundary=B"], [b"content-length", length]]
    request = make(method="POST", headers=headers, body=body)
    assert request.POST.dict() == {"a": "1"}
    upload: Any = request.FILES["f"]
    assert (upload.name, upload.read()) == ("f.txt", b"the file")


def test_the_body_can_be_read_in_every_way(make: Request) -> None:
    assert make(body=b"some body").body == b"some body"
    assert make(body=b"some body").read(4) == b"some"
    assert make(body=b"a\nb\n").readlines() == [b"a\n", b"b\n"]
    assert make(body=None).body == b""


def test_a_body_is_put_together_from_several_messages(make: Request) -> None:
    layer = make.layer
    layer.send(BODY_CHANNEL, {"content": b"two ", "more_content": True})
    layer.send(BODY_CHANNEL, {"content": None, "more_content": True})
    layer.send(BODY_CHANNEL, {"content": b"three"})
    request = make(body=b"one ", body_channel=BODY_CHANNEL)
    assert request.body == b"one two three"


def test_a_body_is_waited_for(make: Request) -> None:
    layer = make.layer
    timer = threading.Timer(0.05, layer.send, [BODY_CHANNEL, {"content": b"late"}])
    timer.start()
    assert make(body_channel=BODY_CHANNEL).body == b"late"
    timer.join()


def test_a_body_that_does_not_come_is_a_request_timeout(
    layer: Layer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert AsgiRequest.body_receive_timeout == 60
    monkeypatch.setattr(AsgiRequest, "body_receive_timeout", 0.05)
    with pytest.raises(RequestTimeout, match="body of /slow"):
        AsgiRequest(request_message(layer, path="/slow", body_channel=BODY_CHANNEL))


def test_a_body_that_comes_drop_by_drop_is_a_request_timeout(
    layer: Layer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AsgiRequest, "body_receive_timeout", 0.05)

    class Dripping(ForeignLayer):
        def receive_many(self, channels: Any, block: bool = False) -> Any:
            time.sleep(0.01)
            self.receives += 1
            if self.receives > 100:
                raise AssertionError("it waits for ever")
            return BODY_CHANNEL, {"content": b".", "more_content": True}

    message = Message(request_content(body_channel=BODY_CHANNEL), "http.request", Dripping())
    with pytest.raises(RequestTimeout):
        AsgiRequest(message)


def test_a_client_that_leaves_in_mid_body_is_a_request_aborted(layer: Layer) -> None:
    layer.send(BODY_CHANNEL, {"closed": True})
    with pytest.raises(RequestAborted):
        AsgiRequest(request_message(layer, body_channel=BODY_CHANNEL))


@pytest.fixture
def bodies(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The temporary files that were made for bodies."""
    made: list[Any] = []
    real = tempfile.SpooledTemporaryFile

    def noting(*args: Any, **kwargs: Any) -> Any:
        made.append(real(*args, **kwargs))
        return made[-1]

    monkeypatch.setattr("channels.handler.tempfile.SpooledTemporaryFile", noting)
    return made


@pytest.mark.parametrize(
    ("content", "piece", "error"),
    [
        ({}, {"closed": True}, RequestAborted),
        ({"query_string": b"\xff"}, {"content": b"disk"}, UnicodeDecodeError),
        ({"path": b"/\xff"}, {"content": b"disk"}, UnicodeDecodeError),
    ],
)
def test_no_temporary_file_is_left_when_there_is_no_request(
    layer: Layer,
    settings: Any,
    bodies: list[Any],
    content: dict[str, Any],
    piece: Any,
    error: type[Exception],
) -> None:
    settings.FILE_UPLOAD_MAX_MEMORY_SIZE = 3
    layer.send(BODY_CHANNEL, piece)
    with pytest.raises(error):
        AsgiRequest(request_message(layer, body=b"on ", body_channel=BODY_CHANNEL, **content))
    [body] = bodies
    assert body.closed


@pytest.mark.urls("tests.core.urls")
@pytest.mark.parametrize("path", ["/hello/", "/error/", "/later/", "/stream/"])
def test_no_temporary_file_is_left_after_the_response(
    layer: Layer, settings: Any, bodies: list[Any], path: str
) -> None:
    settings.FILE_UPLOAD_MAX_MEMORY_SIZE = 3
    layer.send(BODY_CHANNEL, {"content": b"disk"})
    content = {"body": b"on ", "body_channel": BODY_CHANNEL, "query_string": b"n=2"}
    list(AsgiHandler(request_message(layer, path=path, **content)))
    [body] = bodies
    assert body.closed


def test_large_bodies_go_to_disk(
    make: Request, layer: Layer, settings: Any, bodies: list[Any]
) -> None:
    settings.FILE_UPLOAD_MAX_MEMORY_SIZE = 3
    layer.send(BODY_CHANNEL, {"content": b"disk"})
    assert make(body=b"on ", body_channel=BODY_CHANNEL).body == b"on disk"
    assert bodies[0]._rolled


def test_response_later_is_at_hand_on_the_request() -> None:
    assert AsgiRequest.ResponseLater is ResponseLater


def test_a_request_that_came_whole_needs_no_closing(layer: Layer, bodies: list[Any]) -> None:
    assert AsgiRequest(request_message(layer, body=b"a=1")).body == b"a=1"
    assert bodies == []
