"""``WSClient``: what a browser's socket sends and receives."""

from __future__ import annotations

import datetime
import json
from typing import Any

import pytest
from django.contrib.auth import get_user
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.http import HttpRequest, parse_cookie
from django.test import TestCase, override_settings

from channels import Group, channel_layers, route
from channels.message import Message
from channels.test import HttpClient, WSClient, apply_routes

#: Hands the message's content to the test.
look = route(
    ["websocket.connect", "websocket.receive", "test.any"], lambda message: message.content
)


def accept(message: Message, **reply: Any) -> None:
    assert message.reply_channel is not None
    message.reply_channel.send({"accept": True, **reply})


def cookies_of(content: dict[str, Any]) -> dict[str, str]:
    header = dict(content["headers"]).get(b"cookie", b"")
    return parse_cookie(header.decode())


class SocketCase(TestCase):
    """A plain TestCase: the clients use the layer of the settings."""

    def setUp(self) -> None:
        self.enterContext(apply_routes(look))
        self.addCleanup(channel_layers["default"].flush)

    def sent(
        self, client: WSClient, to: str = "websocket.receive", *args: Any, **kwargs: Any
    ) -> Any:
        return client.send_and_consume(to, *args, **{"check_accept": False, **kwargs})


@override_settings(INSTALLED_APPS=["channels"])
class TestContent(SocketCase):
    def test_a_message_has_path_headers_and_reply_channel(self) -> None:
        client = WSClient()
        assert self.sent(client) == {
            "reply_channel": client.reply_channel,
            "path": "/",
            "headers": [],
        }

    def test_what_the_content_has_stays(self) -> None:
        content = {"path": "/own", "headers": [[b"x", b"y"]], "reply_channel": "test.own"}
        assert self.sent(WSClient(), "test.any", content, path="/other") == content

    def test_the_dict_that_is_sent_stays_as_it_is(self) -> None:
        content = {"text": {"a": 1}}
        WSClient().send("websocket.receive", content)
        assert content == {"text": {"a": 1}}

    def test_text_that_is_a_string_goes_as_it_is(self) -> None:
        assert self.sent(WSClient(), text="plain")["text"] == "plain"
        assert self.sent(WSClient(), text="")["text"] == ""

    def test_other_text_goes_as_json(self) -> None:
        day = datetime.date(2030, 1, 2)
        assert json.loads(self.sent(WSClient(), text={"day": day})["text"]) == {
            "day": "2030-01-02"
        }
        assert self.sent(WSClient(), text=[])["text"] == "[]"

    def test_text_in_the_content_goes_as_json_too(self) -> None:
        assert self.sent(WSClient(), "websocket.receive", {"text": {"a": 1}})["text"] == '{"a": 1}'

    def test_a_query_goes_with_the_connection_only(self) -> None:
        connected = self.sent(WSClient(), "websocket.connect", path="/room?a=1&b=?")
        assert (connected["path"], connected["query_string"]) == ("/room", b"a=1&b=?")
        received = self.sent(WSClient(), "websocket.receive", path="/room?a=1")
        assert received["path"] == "/room"
        assert "query_string" not in received

    def test_headers_are_pairs_of_bytes(self) -> None:
        client = WSClient()
        client.set_header("Origin", "http://example.com")
        client.set_header(b"X-Bytes", b"\xff")
        client.set_header("origin", "http://localhost")
        assert self.sent(client)["headers"] == [
            [b"origin", b"http://localhost"],
            [b"x-bytes", b"\xff"],
        ]

    def test_cookies_are_no_header(self) -> None:
        with pytest.raises(ValueError, match="set_cookie"):
            WSClient().set_header("Cookie", "a=b")

    def test_cookies_go_with_every_message(self) -> None:
        client = WSClient()
        client.set_cookie("flavour", 'choc; "dark"')
        client.set_cookie("size", "1")
        for _ in range(2):
            assert cookies_of(self.sent(client)) == {"flavour": 'choc; "dark"', "size": "1"}
        assert client.get_cookies() == {"flavour": 'choc; "dark"', "size": "1"}

    def test_orders_count_from_0(self) -> None:
        client = WSClient(ordered=True)
        assert [self.sent(client, to)["order"] for to in ["websocket.connect", "test.any"]] == [
            0,
            1,
        ]
        assert "order" not in self.sent(WSClient())

    def test_an_ordered_client_takes_no_order(self) -> None:
        client = WSClient(ordered=True)
        with pytest.raises(ValueError, match="order"):
            client.send("websocket.receive", {"order": 7})
        assert self.sent(client)["order"] == 0


class TestReplies(SocketCase):
    def replies(self, *contents: dict[str, Any]) -> WSClient:
        client = WSClient()
        client.join_group("here")
        for content in contents:
            Group("here").send(content)
        return client

    def test_text_is_decoded(self) -> None:
        client = self.replies({"text": '{"a": 1}'}, {"text": '{"a": 1}'}, {"text": "plain"})
        assert client.receive() == {"a": 1}
        assert client.receive(json=False) == '{"a": 1}'
        with pytest.raises(ValueError, match="Expecting value"):
            client.receive()

    def test_text_that_is_no_string_is_given_as_it_is(self) -> None:
        client = self.replies({"text": {"a": 1}}, {"text": {}})
        assert client.receive() == {"a": 1}
        assert client.receive() == {}

    def test_a_reply_without_text_is_given_whole(self) -> None:
        replies: list[dict[str, Any]] = [
            {"bytes": b"x"},
            {"text": None, "bytes": b"x"},
            {"text": "", "close": True},
        ]
        client = self.replies(*replies)
        assert [client.receive() for _ in replies] == replies

    def test_no_reply_is_none(self) -> None:
        assert WSClient().receive() is None


class TestAccepting(SocketCase):
    def connect(self, *replies: dict[str, Any], **kwargs: Any) -> WSClient:
        def consumer(message: Message) -> None:
            assert message.reply_channel is not None
            for reply in replies:
                message.reply_channel.send(reply)

        client = WSClient()
        with apply_routes(route("websocket.connect", consumer)):
            client.send_and_consume("websocket.connect", **kwargs)
        return client

    def test_one_reply_is_taken_off(self) -> None:
        client = self.connect({"accept": True}, {"text": '"welcome"'})
        assert client.receive() == "welcome"

    def test_the_choice_of_a_subprotocol_is_acceptance(self) -> None:
        assert self.connect({"accept": True, "subprotocol": "chat"}).receive() is None

    def test_other_replies_are_a_rejection(self) -> None:
        rejections: list[dict[str, Any]] = [{"close": True}, {"accept": False}, {"text": "hi"}]
        for reply in rejections:
            with pytest.raises(AssertionError, match=f"Connection rejected.*{next(iter(reply))}"):
                self.connect(reply)

    def test_no_reply_is_a_rejection(self) -> None:
        with pytest.raises(AssertionError, match=r"Connection rejected: .* no reply"):
            self.connect()

    def test_the_check_can_be_left_out(self) -> None:
        assert self.connect({"close": True}, check_accept=False).receive() == {"close": True}

    def test_other_channels_are_not_checked(self) -> None:
        client = WSClient()
        with apply_routes(route("websocket.receive", accept)):
            client.send_and_consume("websocket.receive")
        assert client.receive() == {"accept": True}

    def test_without_a_route_it_fails(self) -> None:
        with apply_routes([]), pytest.raises(AssertionError, match="No route takes"):
            WSClient().send_and_consume("websocket.connect")
        with apply_routes([]):
            result = WSClient().send_and_consume("test.any", fail_on_none=False)
        assert result is None


class TestSessions(SocketCase):
    def setUp(self) -> None:
        super().setUp()
        self.user = User.objects.create_user("ada", password="enigma")

    def session_in(self, content: dict[str, Any]) -> SessionStore:
        return SessionStore(cookies_of(content)["sessionid"])

    def user_in(self, content: dict[str, Any]) -> object:
        request = HttpRequest()
        request.session = self.session_in(content)
        return get_user(request)

    def test_the_first_message_carries_the_session(self) -> None:
        client = WSClient()
        client.session["basket"] = ["apple"]
        client.session.save()
        assert self.session_in(self.sent(client, "websocket.connect"))["basket"] == ["apple"]
        assert cookies_of(self.sent(client)) == {}

    def test_the_session_exists_without_being_used_before(self) -> None:
        key = cookies_of(self.sent(WSClient()))["sessionid"]
        assert Session.objects.filter(session_key=key).exists()

    def test_no_session_is_made_for_own_headers(self) -> None:
        self.sent(WSClient(), "websocket.receive", {"headers": []})
        assert not Session.objects.exists()

    def test_without_the_sessions_app_there_is_no_session_cookie(self) -> None:
        with override_settings(INSTALLED_APPS=["channels"]):
            assert self.sent(WSClient())["headers"] == []

    def test_login_with_credentials(self) -> None:
        client = WSClient()
        assert client.login(username="ada", password="enigma") is True
        assert self.user_in(self.sent(client, "websocket.connect")) == self.user

    def test_wrong_credentials(self) -> None:
        client = WSClient()
        assert client.login(username="ada", password="wrong") is False
        assert get_user(self.request(client)).is_anonymous

    def request(self, client: WSClient) -> HttpRequest:
        request = HttpRequest()
        request.session = client.session
        return request

    def test_login_without_credentials(self) -> None:
        client = WSClient()
        client.force_login(self.user)
        assert self.user_in(self.sent(client)) == self.user

    def test_login_with_a_backend_of_choice(self) -> None:
        client = WSClient()
        backend = "django.contrib.auth.backends.AllowAllUsersModelBackend"
        with override_settings(AUTHENTICATION_BACKENDS=[backend]):
            client.force_login(self.user, backend=backend)
        assert client.session["_auth_user_backend"] == backend

    def test_the_default_backend_is_the_first_that_has_users(self) -> None:
        name = f"{__name__}.PermissionsOnly"
        backend = "django.contrib.auth.backends.ModelBackend"
        with override_settings(AUTHENTICATION_BACKENDS=[name, backend]):
            client = WSClient()
            client.force_login(self.user)
            assert client.session["_auth_user_backend"] == backend
        with (
            override_settings(AUTHENTICATION_BACKENDS=[name]),
            pytest.raises(ValueError, match="AUTHENTICATION_BACKENDS"),
        ):
            WSClient().force_login(self.user)

    def test_a_login_before_a_second_connection_reaches_it(self) -> None:
        client = WSClient()
        self.sent(client, "websocket.connect")
        client.force_login(self.user)
        assert self.user_in(self.sent(client, "websocket.connect")) == self.user

    def test_the_session_survives_the_login(self) -> None:
        client = WSClient()
        client.session["basket"] = ["apple"]
        client.session.save()
        client.force_login(self.user)
        assert self.session_in(self.sent(client))["basket"] == ["apple"]

    def test_logout_empties_and_drops_the_session(self) -> None:
        client = WSClient()
        client.force_login(self.user)
        key = client.session.session_key
        client.logout()
        assert not Session.objects.filter(session_key=key).exists()
        assert client.session.session_key != key
        assert self.user_in(self.sent(client)) != self.user

    def test_a_session_cookie_of_choice_is_the_session(self) -> None:
        store = SessionStore()
        store["basket"] = ["pear"]
        store.save()
        client = WSClient()
        assert client.session.session_key != store.session_key
        client.set_cookie("sessionid", str(store.session_key))
        assert client.session["basket"] == ["pear"]
        for _ in range(2):
            assert cookies_of(self.sent(client))["sessionid"] == store.session_key

    def test_logout_ends_the_session_cookie_of_choice(self) -> None:
        client = WSClient()
        client.set_cookie("flavour", "choc")
        client.set_cookie("sessionid", "x" * 32)
        client.logout()
        self.sent(client)
        assert client.get_cookies() == {"flavour": "choc"}

    def test_a_login_replaces_the_session_cookie_of_choice(self) -> None:
        client = WSClient()
        client.set_cookie("sessionid", "x" * 32)
        client.force_login(self.user)
        assert self.user_in(self.sent(client)) == self.user

    def test_sessions_without_a_table(self) -> None:
        with override_settings(SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies"):
            client = WSClient()
            client.session["basket"] = ["apple"]
            client.session.save()
            key = cookies_of(self.sent(client))["sessionid"]
            assert type(client.session)(key)["basket"] == ["apple"]


class PermissionsOnly:
    """An authentication backend that has no users."""


class TestHttpClient(SocketCase):
    def test_the_first_name_of_the_client_works(self) -> None:
        client = HttpClient(ordered=True)
        assert isinstance(client, WSClient)
        assert self.sent(client)["order"] == 0
