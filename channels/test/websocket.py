"""A client that sends what the interface server sends for a socket."""

from __future__ import annotations

import json as json_module
from http.cookies import SimpleCookie
from importlib import import_module
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.auth import authenticate, load_backend, login, logout
from django.core.serializers.json import DjangoJSONEncoder
from django.http import HttpRequest
from django.utils.encoding import force_bytes

from ..asgi import DEFAULT_CHANNEL_LAYER
from ..types import Content
from .base import Client

__all__ = ["WSClient"]

#: What the reply to an accepted connection may hold beside ``accept``.
ACCEPT_DETAILS = {"subprotocol"}


class WSClient(Client):
    """One browser's socket: path, headers, cookies, a session and a user.

    ``alias`` is the channel layer to use. With ``ordered`` every message gets the next
    ``order``, from 0 on, as ``enforce_ordering`` needs it.
    """

    def __init__(self, alias: str = DEFAULT_CHANNEL_LAYER, ordered: bool = False) -> None:
        super().__init__(alias)
        self.ordered = ordered
        self.order = 0
        self._cookies: dict[str, str] = {}
        self._headers: dict[bytes, bytes] = {}
        self._session: Any = None
        self._session_cookie_is_due = True

    def set_cookie(self, key: str, value: str) -> None:
        """Send the cookie ``key`` with every message from now on."""
        self._cookies[key] = value
        if key == settings.SESSION_COOKIE_NAME:
            self._session = None

    def set_header(self, key: str | bytes, value: str | bytes) -> None:
        """Send the header ``key`` with every message from now on.

        Raises ``ValueError`` for ``cookie``, which ``set_cookie`` is for.
        """
        name = force_bytes(key).lower()
        if name == b"cookie":
            raise ValueError("Set cookies with set_cookie(), not as a header.")
        self._headers[name] = force_bytes(value)

    def get_cookies(self) -> dict[str, str]:
        """The cookies of the next message; only the first one carries the session's."""
        cookies = dict(self._cookies)
        has_session = self._session is not None or apps.is_installed("django.contrib.sessions")
        if self._session_cookie_is_due and has_session:
            cookies.setdefault(settings.SESSION_COOKIE_NAME, self.session.session_key)
        return cookies

    @property
    def headers(self) -> list[list[bytes]]:
        """The headers of the next message, as pairs of bytes, names in lower case."""
        headers = [[name, value] for name, value in self._headers.items()]
        cookies = SimpleCookie(self.get_cookies()).values()
        if cookies:
            text = "; ".join(f"{cookie.key}={cookie.coded_value}" for cookie in cookies)
            headers.append([b"cookie", text.encode()])
        return headers

    @property
    def session(self) -> Any:
        """The HTTP session, made when it is first needed; ``save()`` it after a change."""
        if self._session is None:
            key = self._cookies.get(settings.SESSION_COOKIE_NAME)
            self._session = import_module(settings.SESSION_ENGINE).SessionStore(key)
            if key is None:
                self._session.save()
        return self._session

    def login(self, **credentials: Any) -> bool:
        """Log a user in; the next message carries the session cookie.

        Returns false when no authentication backend takes the ``credentials``.
        """
        user = authenticate(**credentials)
        if user is None:
            return False
        self._login(user, None)
        return True

    def force_login(self, user: Any, backend: str | None = None) -> None:
        """Log ``user`` in without credentials; the next message carries the session cookie.

        ``backend`` is the dotted path of an authentication backend, by default the first one
        of the settings that has users.
        """
        self._login(user, backend or _first_user_backend())

    def logout(self) -> None:
        """Log the user out and drop the session."""
        logout(self._request())
        self._cookies.pop(settings.SESSION_COOKIE_NAME, None)
        self._session = None

    def send(
        self, to: str, content: Content | None = None, text: Any = None, path: str = "/"
    ) -> None:
        """Send ``content`` to the channel ``to``, at once, completed to what a socket sends.

        ``text`` that is not a string is sent as JSON, also when it is in ``content``. A query
        in ``path`` becomes the ``query_string`` of ``websocket.connect``, elsewhere it is cut
        off. What is in ``content`` already stays. Raises ``ValueError`` for an ``order`` in the
        content of an ordered client.
        """
        super().send(to, self._complete(to, content or {}, text, path))
        self._session_cookie_is_due = False
        self.order += 1

    def send_and_consume(  # type: ignore[override]  # the 1.x API has these, in this order
        self,
        channel: str,
        content: Content | None = None,
        text: Any = None,
        path: str = "/",
        fail_on_none: bool = True,
        check_accept: bool = True,
    ) -> Any:
        """``send`` and then ``consume``.

        On ``websocket.connect`` one reply is taken, unless ``check_accept`` is false: it must
        accept the connection, else ``AssertionError``.
        """
        self.send(channel, content, text, path)
        result = self.consume(channel, fail_on_none=fail_on_none)
        if channel == "websocket.connect" and check_accept:
            _check_accepted(super().receive())
        return result

    def receive(self, json: bool = True) -> Any:
        """The ``text`` of the next reply, decoded from JSON unless ``json`` is false.

        The whole content of a reply without text; ``None`` without a reply.
        """
        content = super().receive()
        if content is None or content.get("text") in (None, ""):
            return content
        text = content["text"]
        return json_module.loads(text) if json and isinstance(text, str) else text

    def _complete(self, to: str, content: Content, text: Any, path: str) -> Content:
        content = dict(content)
        path, mark, query = path.partition("?")
        content.setdefault("path", path)
        if mark and to == "websocket.connect":
            content.setdefault("query_string", query.encode())
        if "headers" not in content:
            content["headers"] = self.headers
        text = content.get("text") if text is None else text
        if text is not None:
            content["text"] = text if isinstance(text, str) else _as_json(text)
        if self.ordered:
            if "order" in content:
                raise ValueError("An ordered WSClient sets 'order' itself: leave it out.")
            content["order"] = self.order
        return content

    def _login(self, user: Any, backend: str | None) -> None:
        request = self._request()
        login(request, user, backend)
        request.session.save()
        self._cookies.pop(settings.SESSION_COOKIE_NAME, None)
        self._session_cookie_is_due = True

    def _request(self) -> HttpRequest:
        request = HttpRequest()
        request.session = self.session
        return request


def _as_json(value: Any) -> str:
    return json_module.dumps(value, cls=DjangoJSONEncoder)


def _check_accepted(reply: Content | None) -> None:
    essence = {key: value for key, value in (reply or {}).items() if key not in ACCEPT_DETAILS}
    if essence != {"accept": True}:
        answer = f"the consumer replied {reply!r}" if reply else "the consumer sent no reply"
        raise AssertionError(f"Connection rejected: {answer}, not {{'accept': True}}.")


def _first_user_backend() -> str:
    for path in settings.AUTHENTICATION_BACKENDS:
        if hasattr(load_backend(path), "get_user"):
            return path
    raise ValueError("force_login() needs a backend with get_user() in AUTHENTICATION_BACKENDS.")
