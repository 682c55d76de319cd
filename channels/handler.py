"""From ``http.request`` messages to Django's view layer, and back."""

from __future__ import annotations

import functools
import logging
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import IO, Any, ClassVar, cast

from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.core import signals
from django.core.exceptions import RequestDataTooBig
from django.core.handlers.asgi import ASGIRequest, get_script_prefix
from django.core.handlers.base import BaseHandler
from django.http import (
    FileResponse,
    HttpRequest,
    HttpResponse,
    HttpResponseBadRequest,
    HttpResponseServerError,
    StreamingHttpResponse,
)
from django.http.response import HttpResponseBase
from django.urls import set_script_prefix

from .exceptions import RequestAborted, RequestTimeout, ResponseLater
from .message import Message
from .replies import ClientGone, ReplySender
from .types import Content
from .utils import receive_waiting

logger = logging.getLogger("django.request")


class AsgiRequest(ASGIRequest):
    """A Django request made from an ``http.request`` message.

    The constructor reads the whole body, also what follows on the message's body channel. It
    raises ``RequestTimeout`` and ``RequestAborted`` when the body does not come, and
    ``UnicodeDecodeError`` when the message is not decodable.
    """

    ResponseLater = ResponseLater

    #: Seconds that a body may take to arrive.
    body_receive_timeout = 60

    def __init__(self, message: Message) -> None:
        self.message = message
        self.reply_channel = message.reply_channel
        #: Whether the view raised ``ResponseLater``.
        self.response_later = False
        body = self._read_body(message)
        try:
            super().__init__(_scope(message.content), body)
        except BaseException:
            body.close()
            raise

    def _read_body(self, message: Message) -> IO[bytes]:
        first_piece = message.get("body") or b""
        if not message.get("body_channel"):
            return BytesIO(first_piece)
        body = cast(
            IO[bytes],
            tempfile.SpooledTemporaryFile(  # noqa: SIM115 - the request owns it
                max_size=settings.FILE_UPLOAD_MAX_MEMORY_SIZE
            ),
        )
        try:
            body.write(first_piece)
            for piece in self._body_pieces(message):
                body.write(piece)
        except BaseException:
            body.close()
            raise
        body.seek(0)
        return body

    def _body_pieces(self, message: Message) -> Iterator[bytes]:
        channel = message["body_channel"]
        deadline = time.monotonic() + self.body_receive_timeout
        more_content = True
        while more_content:
            # Also between pieces, or else a client that sends drop by drop holds us for ever.
            if time.monotonic() >= deadline:
                raise RequestTimeout(
                    f"The body of {message.get('path')} did not arrive within "
                    f"{self.body_receive_timeout} seconds."
                )
            _, piece = receive_waiting(message.channel_layer, [channel])
            if piece is None:
                continue
            if piece.get("closed"):
                raise RequestAborted(f"The client left while it sent {message.get('path')}.")
            yield piece.get("content") or b""
            more_content = piece.get("more_content", False)


class AsgiHandler(BaseHandler):
    """Runs ``http.request`` messages through middleware and views.

    ``AsgiHandler(message)`` is an iterator over the response messages; ``AsgiHandler()`` builds
    a handler to be called with any number of messages, each call giving such an iterator.
    """

    request_class: ClassVar[type[AsgiRequest]] = AsgiRequest

    #: Bytes of content in one response message.
    chunk_size = 512 * 1024

    def __init__(self, message: Message | None = None) -> None:
        super().__init__()
        self.load_middleware()
        self._responses = self(message) if message is not None else iter(())

    def __iter__(self) -> Iterator[Content]:
        return self._responses

    def __next__(self) -> Content:
        return next(self._responses)

    def __call__(self, message: Message) -> Iterator[Content]:
        """Run the view of ``message`` and yield the response messages, none when there is to be
        no response (the client has left, or the view raised ``ResponseLater``)."""
        response = self._respond(message)
        if response is None:
            return
        try:
            yield from self.encode_response(response)
        finally:
            response.close()

    def _respond(self, message: Message) -> HttpResponseBase | None:
        set_script_prefix(get_script_prefix(message.content))
        signals.request_started.send(sender=self.__class__, message=message)
        response_later = False
        try:
            request = self.request_class(message)
        except RequestAborted:
            logger.debug("The client left before its request was complete.")
            signals.request_finished.send(sender=self.__class__)
            return None
        except (RequestTimeout, RequestDataTooBig, UnicodeDecodeError) as error:
            response: HttpResponseBase = _refusal(error)
        else:
            response = self._response_of_view(request)
            response_later = request.response_later
        response._handler_class = self.__class__  # type: ignore[attr-defined]
        if response_later:
            response.close()
            return None
        return response

    def _response_of_view(self, request: AsgiRequest) -> HttpResponseBase:
        response: Any
        try:
            response = self.get_response(request)
        except Exception:
            if settings.DEBUG_PROPAGATE_EXCEPTIONS:
                request.close()
                raise
            logger.exception("Internal Server Error: %s", request.path)
            response = server_error()
        # Django does so in its own get_response; an overridden one may not have called it.
        if request.close not in response._resource_closers:
            response._resource_closers.append(request.close)
        if isinstance(response, FileResponse):
            response.block_size = self.chunk_size
        return cast(HttpResponseBase, response)

    def make_view_atomic(self, view: Callable[..., Any]) -> Callable[..., Any]:
        """Let ``ResponseLater`` end here, at the view: to transactions and middleware the view
        has returned a plain response."""
        return cast(Callable[..., Any], super().make_view_atomic(_allow_response_later(view)))

    @classmethod
    def encode_response(cls, response: HttpResponseBase) -> Iterator[Content]:
        """Yield the messages that carry ``response``: plain, streaming or file."""
        head: Content = {"status": response.status_code, "headers": _encode_headers(response)}
        if isinstance(response, StreamingHttpResponse):
            for part in response:
                for chunk, _ in cls.chunk_bytes(part):
                    yield {**head, "content": chunk, "more_content": True}
                    head = {}
            yield {**head, "more_content": False}
            return
        for chunk, is_last in cls.chunk_bytes(cast(HttpResponse, response).content):
            yield {**head, "content": chunk, "more_content": not is_last}
            head = {}

    @classmethod
    def chunk_bytes(cls, data: bytes) -> Iterator[tuple[bytes, bool]]:
        """Yield ``(chunk, is_last)``, at least once; chunks have ``chunk_size`` bytes or fewer."""
        for start in range(0, len(data) or 1, cls.chunk_size):
            end = start + cls.chunk_size
            yield data[start:end], end >= len(data)


class ViewConsumer:
    """The consumer of ``http.request``: gives the message to a handler and sends its replies."""

    handler_class: type[AsgiHandler] = AsgiHandler

    def __init__(self) -> None:
        self._handler: AsgiHandler | None = None
        self._lock = threading.Lock()

    @property
    def handler(self) -> AsgiHandler:
        """The handler, made when first needed: its middleware needs the apps to be ready."""
        with self._lock:
            if self._handler is None:
                self._handler = self.handler_class()
        return self._handler

    def __call__(self, message: Message) -> None:
        """Run the view of ``message``; replies leave at once, as they are produced."""
        sender = ReplySender(message)
        replies: Iterator[Content] | None = None
        try:
            replies = self.handler(message)
            for reply in replies:
                sender.send(reply)
        except ClientGone as error:
            logger.info("The response to %s was not sent whole: %s", message.get("path"), error)
            sender.fail(_plain_error())
        except BaseException:  # also when it exits, as the client still waits
            sender.fail(_plain_error())
            raise
        finally:
            if replies is not None:
                replies.close()  # type: ignore[attr-defined]


def server_error() -> HttpResponse:
    """The last resort for the exception being handled; its traceback shows only with DEBUG."""
    return HttpResponseServerError(
        traceback.format_exc() if settings.DEBUG else "Internal Server Error",
        content_type="text/plain",
    )


def _plain_error() -> Content:
    return next(AsgiHandler.encode_response(server_error()))


def _scope(content: Content) -> dict[str, Any]:
    """The ASGI scope that Django's own request class reads."""
    path = content["path"]
    return {
        "type": "http",
        "http_version": content.get("http_version", "1.1"),
        "method": content["method"],
        "scheme": content.get("scheme") or "http",
        "path": path.decode() if isinstance(path, bytes) else path,
        "query_string": content.get("query_string") or b"",
        "root_path": content.get("root_path") or "",
        "headers": _header_pairs(content.get("headers") or []),
        "client": content.get("client"),
        "server": content.get("server"),
    }


def _header_pairs(headers: Any) -> list[tuple[bytes, bytes]]:
    pairs = headers.items() if isinstance(headers, dict) else headers
    encoded = [(_as_bytes(name).lower(), _as_bytes(value)) for name, value in pairs]
    cookies = [value.rstrip(b"; ") for name, value in encoded if name == b"cookie"]
    if len(cookies) < 2:
        return encoded
    # HTTP/2 clients split them; Django 5 would join them with a comma, and so mix them up.
    others = [pair for pair in encoded if pair[0] != b"cookie"]
    return [*others, (b"cookie", b"; ".join(cookies))]


def _as_bytes(value: str | bytes) -> bytes:
    return value.encode("latin1") if isinstance(value, str) else bytes(value)


def _encode_headers(response: HttpResponseBase) -> list[tuple[bytes, bytes]]:
    headers = [(name.encode("ascii"), value.encode("latin1")) for name, value in response.items()]
    cookies = [
        (b"Set-Cookie", cookie.OutputString().encode("ascii"))
        for cookie in response.cookies.values()
    ]
    return headers + cookies


def _refusal(error: Exception) -> HttpResponse:
    """The response to a message that no request could be made of."""
    if isinstance(error, RequestTimeout):
        logger.warning("Request Timeout: %s", error, extra={"status_code": 408})
        return HttpResponse("408 Request Timeout", status=408, content_type="text/plain")
    if isinstance(error, RequestDataTooBig):
        return HttpResponse("413 Payload Too Large", status=413, content_type="text/plain")
    logger.warning(
        "Bad Request (%s)", type(error).__name__, exc_info=error, extra={"status_code": 400}
    )
    return HttpResponseBadRequest()


def _allow_response_later(view: Callable[..., Any]) -> Callable[..., Any]:
    def give_up(request: HttpRequest) -> HttpResponse:
        cast(AsgiRequest, request).response_later = True
        return HttpResponse()

    if iscoroutinefunction(view):

        @functools.wraps(view)
        async def async_wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            try:
                return await view(request, *args, **kwargs)
            except ResponseLater:
                return give_up(request)

        return async_wrapper

    @functools.wraps(view)
    def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        try:
            return view(request, *args, **kwargs)
        except ResponseLater:
            return give_up(request)

    return wrapper
