"""Tests as they were written for 1.x: with the clients, without servers."""

import json

from django.contrib.auth.models import AnonymousUser, User
from django.contrib.sessions.models import Session
from django.test import TestCase, override_settings

from channels import Channel, Group, channel_layers, route
from channels.auth import channel_session_user_from_http
from channels.exceptions import ConsumeLater, DenyConnection
from channels.message import Message
from channels.sessions import session_for_reply_channel
from channels.tests import ChannelTestCase, Client, HttpClient, WSClient, apply_routes

from .consumers import http_export, ws_connect
from .models import Line, Presence, Room


class ChatTestCase(ChannelTestCase):
    def setUp(self):
        self.room = Room.objects.create(slug="lobby", title="Lobby")
        self.user = User.objects.create_user("ada", password="secret")

    def enter(self, username=None, room="lobby"):
        client = WSClient(ordered=True)
        if username:
            client.login(username=username, password="secret")
        client.send_and_consume("websocket.connect", path="/room/%s/" % room)
        self.path = "/room/%s/" % room
        return client

    def say(self, client, text):
        client.send_and_consume(
            "websocket.receive", text={"command": "say", "text": text}, path=self.path
        )

    def drain(self, client):
        received = []
        while True:
            content = client.receive()
            if content is None:
                return received
            received.append(content)


class ConnectTests(ChatTestCase):
    def test_who_enters_is_present(self):
        client = self.enter("ada")
        presence = Presence.objects.get()
        self.assertEqual(presence.channel_name, client.reply_channel)
        self.assertEqual(presence.user, self.user)
        self.assertEqual(client.receive(), {"type": "presence", "room": "lobby", "names": ["ada"]})

    def test_unknown_rooms_are_refused(self):
        with self.assertRaisesMessage(AssertionError, "Connection rejected"):
            self.enter("ada", room="nowhere")

    def test_the_refusal_can_be_looked_at(self):
        client = WSClient(ordered=True)
        client.send_and_consume("websocket.connect", path="/room/nowhere/", check_accept=False)
        self.assertEqual(client.receive(), {"accept": False})

    def test_staff_rooms_are_for_staff(self):
        Room.objects.create(slug="staff", title="Staff", staff_only=True)
        with self.assertRaises(DenyConnection):
            self.enter("ada", room="staff")
        User.objects.create_user("bob", password="secret", is_staff=True)
        self.enter("bob", room="staff")
        self.assertEqual(Presence.objects.get().room.slug, "staff")

    def test_other_paths_have_no_consumer(self):
        client = WSClient(ordered=True)
        client.send("websocket.connect", path="/elsewhere/lobby/")
        self.assertIsNone(client.consume("websocket.connect", fail_on_none=False))

    def test_who_leaves_is_not_present_any_more(self):
        ada, guest = self.enter("ada"), self.enter()
        self.drain(guest)
        ada.send_and_consume("websocket.disconnect", path="/room/lobby/")
        self.assertEqual(guest.receive()["names"], ["anonymous"])
        self.assertEqual(
            Group("room-lobby").channel_layer.group_channels("room-lobby"), [guest.reply_channel]
        )


class SayTests(ChatTestCase):
    def test_everybody_hears_it(self):
        ada, guest = self.enter("ada"), self.enter()
        self.drain(ada), self.drain(guest)
        self.say(ada, "hello")
        line = {"type": "line", "room": "lobby", "user": "ada", "text": "hello"}
        for client in (ada, guest):
            received = client.receive()
            received.pop("id")
            self.assertEqual(received, line)
        self.assertEqual([str(line) for line in Line.objects.all()], ["ada: hello"])

    def test_guests_may_only_listen(self):
        guest = self.enter()
        self.drain(guest)
        self.say(guest, "hello")
        self.assertEqual(guest.receive(), {"type": "error", "error": "LOG_IN"})
        self.assertFalse(Line.objects.exists())

    def test_json_as_text(self):
        ada = self.enter("ada")
        self.drain(ada)
        text = json.dumps({"command": "say", "text": "typed"})
        ada.send_and_consume("websocket.receive", {"text": text, "path": "/room/lobby/"})
        self.assertEqual(json.loads(ada.receive(json=False))["text"], "typed")

    def test_a_dict_as_text_in_the_content(self):
        ada = self.enter("ada")
        self.drain(ada)
        ada.send_and_consume(
            "websocket.receive",
            content={"text": {"command": "say", "text": "typed"}},
            path="/room/lobby/",
        )
        self.assertEqual(ada.receive()["text"], "typed")

    def test_groups_in_tests_may_send_dicts(self):
        client = Client()
        client.join_group("room-lobby")
        Group("room-lobby").send({"text": {"type": "line"}}, immediately=True)
        self.assertEqual(client.receive(), {"text": {"type": "line"}})


class OrderTests(ChatTestCase):
    def test_what_comes_early_waits(self):
        ada = self.enter("ada")
        self.drain(ada)
        path, reply_channel = "/room/lobby/", ada.reply_channel
        for order, text in [(2, "second"), (1, "first")]:
            Channel("websocket.receive").send(
                {
                    "reply_channel": reply_channel,
                    "path": path,
                    "order": order,
                    "text": json.dumps({"command": "say", "text": text}),
                }
            )
        ada.consume("websocket.receive")
        self.assertIsNone(ada.receive())
        ada.consume("websocket.receive")
        ada.consume("websocket.receive")
        self.assertEqual([line["text"] for line in self.drain(ada)], ["first", "second"])

    def test_messages_without_order_are_an_error(self):
        client = WSClient()
        with self.assertRaises(ValueError):
            client.send_and_consume("websocket.connect", path="/room/lobby/")


class CommandTests(ChatTestCase):
    def command(self, client, **payload):
        client.send_and_consume("websocket.receive", text=payload, path="/room/lobby/")
        return client.consume("chat.command")

    def test_the_channel_session_is_shared_by_all_consumers_of_a_socket(self):
        ada = self.enter("ada")
        self.say(ada, "one")
        self.say(ada, "two")
        self.drain(ada)
        self.command(ada, command="stats")
        self.assertEqual(ada.receive(), {"type": "stats", "said": 2})
        session = session_for_reply_channel(ada.reply_channel)
        self.assertEqual((session["room"], session["said"]), ("lobby", 2))
        self.assertTrue(Session.objects.filter(session_key=session.session_key).exists())

    def test_unknown_commands(self):
        ada = self.enter("ada")
        self.drain(ada)
        self.command(ada, command="dance")
        self.assertEqual(ada.receive()["error"], "UNKNOWN_COMMAND")

    def test_a_heartbeat_is_followed_by_a_delayed_message(self):
        ada = self.enter("ada")
        self.command(ada, command="heartbeat", patience=500)
        delayed = self.get_next_message("asgi.delay", require=True)
        self.assertEqual((delayed["channel"], delayed["delay"]), ("presence.prune", 500))
        Channel(delayed["channel"]).send(delayed["content"])
        ada.consume("presence.prune")
        self.assertFalse(Presence.objects.exists())

    def test_later_waits_for_a_line(self):
        ada = self.enter("ada")
        with self.assertRaises(ConsumeLater):
            self.command(ada, command="later")
        self.say(ada, "now")
        self.drain(ada)
        self.command(ada, command="later")
        self.assertEqual(ada.receive(), {"type": "later"})


class HttpTests(ChatTestCase):
    def request(self, path, **content):
        client = Client()
        content = dict(
            {"path": path, "method": "GET", "headers": {"host": b"testserver"}}, **content
        )
        client.send_and_consume("http.request", content)
        return client

    def test_the_export(self):
        Line.objects.create(room=self.room, user=self.user, text="one")
        Line.objects.create(room=self.room, text="two")
        reply = self.request("/export/lobby.txt", query_string="limit=1").receive()
        self.assertEqual((reply["status"], reply["content"]), (200, b"ada: one\n"))
        self.assertIn([b"X-Method", b"GET"], [list(pair) for pair in reply["headers"]])
        self.assertFalse(reply["more_content"])

    def test_a_consumer_can_be_called(self):
        layer = channel_layers["default"]
        message = Message(
            {"reply_channel": "test.reply", "path": "/export/lobby.txt", "method": "HEAD"},
            "http.request",
            layer,
        )
        http_export(message, slug="lobby")
        self.assertEqual(self.get_next_message("test.reply", require=True)["status"], 200)

    def test_the_views_behind_a_consumer(self):
        self.enter("ada")
        reply = self.request("/api/who/lobby/").receive()
        self.assertEqual(json.loads(reply["content"]), {"names": ["ada"]})
        self.assertIn([b"X-Api", b"1"], [list(pair) for pair in reply["headers"]])


class UserTests(ChatTestCase):
    def test_a_user_of_an_old_session_is_nobody(self):
        client = HttpClient(ordered=True)
        client.force_login(self.user)
        self.user.set_password("another")
        self.user.save()

        @channel_session_user_from_http
        def connect(message):
            message.reply_channel.send({"accept": True})
            message.reply_channel.send({"text": message.user.username})
            assert isinstance(message.user._wrapped, AnonymousUser) or message.user == self.user

        with apply_routes([route("websocket.connect", connect)]):
            client.send_and_consume("websocket.connect")
        self.assertEqual(client.receive(json=False).get("text"), "")

    def test_headers_and_cookies(self):
        client = HttpClient()
        client.set_cookie("colour", "red")
        client.set_header("origin", "http://testserver")

        def connect(message):
            message.reply_channel.send({"accept": True})
            headers = dict(message["headers"])
            message.reply_channel.send({"bytes": headers[b"cookie"] + b" " + headers[b"origin"]})

        with apply_routes([route("websocket.connect", connect)]):
            client.send_and_consume("websocket.connect")
        answer = client.receive()["bytes"]
        self.assertIn(b"colour=red", answer)
        self.assertTrue(answer.endswith(b" http://testserver"))


@apply_routes([route("websocket.connect", ws_connect, path=r"^/(?P<slug>\w+)/$")])
@override_settings(
    CHANNEL_LAYERS={
        "default": {
            "BACKEND": "channels.layers.InMemoryChannelLayer",
            "ROUTING": "tests.ports.chat.routing.channel_routing",
        },
    }
)
class PlainTestCaseTests(TestCase):
    """Without our test case: over the layer of the settings."""

    def test_the_routes_of_the_class(self):
        Room.objects.create(slug="lobby", title="Lobby")
        client = WSClient(ordered=True)
        client.send_and_consume("websocket.connect", path="/lobby/")
        self.assertEqual(Presence.objects.get().channel_name, client.reply_channel)
