"""Views for the tests of the handler."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any, cast

from django.http import FileResponse, HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import path

from channels.exceptions import ResponseLater

#: What views and responses note down; tests empty it.
notes: list[Any] = []


class NotingResponse(HttpResponse):
    """Notes that it was closed."""

    def close(self) -> None:
        super().close()
        notes.append("closed")


class NotingStream(StreamingHttpResponse):
    def close(self) -> None:
        super().close()
        notes.append("closed")


def hello(request: HttpRequest) -> HttpResponse:
    return NotingResponse(b"hello")


async def async_hello(request: HttpRequest) -> HttpResponse:
    return HttpResponse(b"async hello")


def echo(request: HttpRequest) -> HttpResponse:
    files = {name: cast(Any, file).read().decode() for name, file in request.FILES.items()}
    return HttpResponse(json.dumps({"post": request.POST.dict(), "files": files}))


def error(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("the view fails")


def stream(request: HttpRequest) -> StreamingHttpResponse:
    return NotingStream(b"%d" % number for number in range(int(request.GET["n"])))


def broken_stream(request: HttpRequest) -> StreamingHttpResponse:
    def parts() -> Iterator[bytes]:
        yield b"first"
        raise RuntimeError("the stream breaks")

    return NotingStream(parts())


def file(request: HttpRequest) -> FileResponse:
    with open(__file__, "rb") as source:
        size = len(source.read())
    notes.append(size)
    return FileResponse(open(__file__, "rb"))


def later(request: HttpRequest) -> HttpResponse:
    notes.append("later")
    raise ResponseLater


async def async_later(request: HttpRequest) -> HttpResponse:
    notes.append("async later")
    raise request.ResponseLater  # type: ignore[attr-defined]


def save_and_later(request: HttpRequest) -> HttpResponse:
    from django.contrib.sessions.models import Session
    from django.utils import timezone

    Session.objects.create(session_key="kept", session_data="", expire_date=timezone.now())
    raise ResponseLater


def leave(request: HttpRequest) -> HttpResponse:
    sys.exit(3)


urlpatterns = [
    path("hello/", hello),
    path("async-hello/", async_hello),
    path("echo/", echo),
    path("error/", error),
    path("exit/", leave),
    path("stream/", stream),
    path("broken-stream/", broken_stream),
    path("file/", file),
    path("later/", later),
    path("async-later/", async_later),
    path("save-and-later/", save_and_later),
]
