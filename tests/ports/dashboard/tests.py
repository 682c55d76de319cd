"""Tests as they were written for 1.x: with the clients, without servers."""

import json

from django.contrib.auth.models import User
from django.contrib.sessions.models import Session

from channels import Channel, Group, include, route
from channels.binding.base import CREATE, Binding, BindingMetaclass
from channels.binding.websockets import WebsocketBinding
from channels.exceptions import SendNotAvailableOnDemultiplexer
from channels.generic.websockets import WebsocketDemultiplexer
from channels.message import Message
from channels.sessions import session_for_reply_channel
from channels.test import ChannelTestCase, Client, HttpClient, WSClient, apply_routes

from .bindings import WidgetBinding
from .consumers import CommandConsumer, ReportConsumer, StatusConsumer, echo
from .models import Board, Report, Widget


class DashboardTestCase(ChannelTestCase):
    def setUp(self):
        self.board = Board.objects.create(slug="sales", title="Sales")
        self.ada = User.objects.create_user("ada", password="secret")
        self.bob = User.objects.create_user("bob", password="secret", is_staff=True)

    def look(self, user=None, slug="sales"):
        client = WSClient(ordered=True)
        if user:
            client.force_login(user)
        client.send_and_consume("websocket.connect", path="/live/%s/" % slug)
        self.assertEqual(
            client.receive(), {"stream": "commands", "payload": {"status": "connected"}}
        )
        return client

    def send(self, client, stream, **payload):
        client.send_and_consume(
            "websocket.receive",
            text={"stream": stream, "payload": payload},
            path="/live/sales/",
        )


class OutboundTests(DashboardTestCase):
    def test_create_update_delete(self):
        client = self.look()
        widget = Widget.objects.create(board=self.board, name="orders", value=1, owner=self.ada)
        expected = {
            "stream": "widgets",
            "payload": {
                "action": "create",
                "pk": widget.pk,
                "data": {"board": self.board.pk, "name": "orders", "value": 1},
                "model": "dashboard.widget",
            },
        }
        self.assertEqual(client.receive(), expected)
        widget.value = 2
        widget.save()
        received = client.receive()["payload"]
        self.assertEqual((received["action"], received["data"]["value"]), ("update", 2))
        pk = widget.pk
        widget.delete()
        received = client.receive()["payload"]
        self.assertEqual((received["action"], received["pk"]), ("delete", pk))
        self.assertIsNone(client.receive())

    def test_the_groups_are_those_of_the_values_that_are_saved(self):
        Board.objects.create(slug="stock", title="Stock")
        here, there = self.look(), self.look(slug="stock")
        widget = Widget.objects.create(board=self.board, name="orders")
        here.receive()
        widget.board = Board.objects.get(slug="stock")
        widget.save()
        # The values were set before pre_save already, so it is the new board that is told.
        self.assertIsNone(here.receive())
        self.assertEqual(there.receive()["payload"]["action"], "update")

    def test_members_and_uuids(self):
        client = self.look()
        report = Report.objects.create(board=self.board, title="May")
        payload = client.receive()["payload"]
        self.assertEqual(payload["pk"], str(report.pk))
        self.assertEqual(
            payload["data"],
            {"title": "May", "state": "new", "summary": "May is new", "board__title": "Sales"},
        )

    def test_excluded_fields_stay_here(self):
        client = Client()
        client.join_group("boards")
        Board.objects.create(slug="stock", title="Stock")
        frame = json.loads(client.receive()["text"])
        self.assertEqual(set(frame["payload"]["data"]) & {"token"}, set())
        self.assertEqual(frame["payload"]["data"]["title"], "Stock")


class InboundTests(DashboardTestCase):
    def setUp(self):
        super().setUp()
        self.widget = Widget.objects.create(board=self.board, name="orders", owner=self.ada)

    def change(self, user, **payload):
        self.send(self.look(user), "widgets", **payload)
        self.widget.refresh_from_db()

    def test_owners_may_change(self):
        self.change(self.ada, action="update", pk=self.widget.pk, data={"value": 5})
        self.assertEqual(self.widget.value, 5)

    def test_staff_may_change(self):
        self.change(self.bob, action="update", pk=self.widget.pk, data={"name": "x"})
        self.assertEqual(self.widget.name, "x")

    def test_others_may_not(self):
        carl = User.objects.create_user("carl")
        for user in (None, carl):
            self.change(user, action="update", pk=self.widget.pk, data={"value": 5})
            self.change(user, action="delete", pk=self.widget.pk)
            self.assertEqual(self.widget.value, 0)

    def test_only_listed_fields_are_written(self):
        data = {"value": 7, "secret": "stolen", "owner": self.bob.pk}
        self.change(self.ada, action="update", pk=self.widget.pk, data=data)
        self.assertEqual(
            (self.widget.value, self.widget.secret, self.widget.owner),
            (7, "widget secret", self.ada),
        )

    def test_an_overridden_create(self):
        data = {"board": self.board.pk, "name": "new", "value": 3, "secret": "mine"}
        self.change(self.ada, action="create", data=data)
        made = Widget.objects.get(name="new")
        self.assertEqual((made.owner, made.secret), (self.ada, "widget secret"))

    def test_a_stream_that_is_only_watched(self):
        report = Report.objects.create(board=self.board, title="May")
        self.send(self.look(self.bob), "reports", action="delete", pk=str(report.pk))
        self.assertTrue(Report.objects.exists())

    def test_staff_may_rename_boards(self):
        data = {"title": "Renamed", "token": "stolen"}
        self.send(self.look(self.bob), "boards", action="update", pk=self.board.pk, data=data)
        self.board.refresh_from_db()
        self.assertEqual((self.board.title, self.board.token), ("Renamed", "board token"))


class DemultiplexerTests(DashboardTestCase):
    def test_unknown_boards(self):
        client = WSClient(ordered=True)
        client.send_and_consume("websocket.connect", path="/live/none/", check_accept=False)
        self.assertEqual(client.receive(), {"close": True})

    def test_a_plain_function(self):
        client = self.look()
        self.send(client, "echo", word="hello")
        self.assertEqual(client.receive(), {"stream": "echo", "payload": {"word": "hello"}})

    def test_group_send_of_a_stream(self):
        one, two = self.look(), self.look()
        self.send(one, "commands", command="announce", text="lunch")
        for client in (one, two):
            self.assertEqual(client.receive()["payload"], {"said": "lunch"})

    def test_disconnect_reaches_the_consumers(self):
        client, watcher = self.look(), Client()
        watcher.join_group("leavers")
        client.send_and_consume("websocket.disconnect", path="/live/sales/")
        self.assertEqual(watcher.receive(), {"left": client.reply_channel})
        self.assertEqual(Group("board-sales").channel_layer.group_channels("board-sales"), [])

    def test_its_own_send_is_refused(self):
        class Wrong(WebsocketDemultiplexer):
            consumers = {"echo": echo}

            def receive(self, content, **kwargs):
                self.send(content)

        with apply_routes([Wrong.as_route(path="^/")]):
            client = HttpClient()
            client.send_and_consume("websocket.connect")
            with self.assertRaises(SendNotAvailableOnDemultiplexer):
                client.send_and_consume("websocket.receive", text={"stream": "echo"})

    def test_a_route_with_attributes_and_an_include(self):
        class Echoes(WebsocketDemultiplexer):
            pass

        routes = [
            include([Echoes.as_route(attrs={"consumers": {"e": echo}}, path="^/x")], path="^/y")
        ]
        with apply_routes(routes):
            client = WSClient()
            client.send_and_consume("websocket.connect", path="/y/x")
            client.send_and_consume(
                "websocket.receive", text={"stream": "e", "payload": {"n": 1}}, path="/y/x"
            )
            self.assertEqual(client.receive(), {"stream": "e", "payload": {"n": 1}})


class StatusTests(DashboardTestCase):
    def test_both_sessions(self):
        client = HttpClient()
        client.login(username="ada", password="secret")
        client.session["visits"] = 3
        client.session.save()
        client.send_and_consume("websocket.connect", path="/status/")
        self.assertEqual(client.receive(), {"user": "ada"})
        client.send_and_consume("websocket.receive", text=json.dumps("visits"), path="/status/")
        self.assertEqual(client.receive(), {"visits": 3})

    def test_everybody_sees_what_is_sent(self):
        client = HttpClient()
        client.send_and_consume("websocket.connect", path="/status/")
        self.assertEqual(client.receive(), {"user": None})
        client.send_and_consume("websocket.receive", text={"n": 1}, path="/status/")
        self.assertEqual(client.receive(), {"user": "", "content": {"n": 1}})

    def test_close(self):
        client = HttpClient()
        client.send_and_consume("websocket.connect", path="/status/")
        client.receive()
        client.send_and_consume("websocket.receive", text='"bye"', path="/status/")
        self.assertEqual(
            client.get_next_message(client.reply_channel).content,
            {"text": '{"bye": "/status/"}', "close": True},
        )

    def test_the_class_can_be_called(self):
        message = Message(
            {"reply_channel": "test.reply", "path": "/status/"}, "websocket.connect", None
        )
        consumer = StatusConsumer(message)
        self.assertEqual((consumer.path, consumer.kwargs), ("/status/", {}))
        self.assertEqual(
            self.get_next_message("test.reply", require=True).content, {"accept": True}
        )


class BackgroundTests(DashboardTestCase):
    def test_a_command_is_done_in_the_background(self):
        client = self.look()
        self.send(client, "commands", command="report")
        created, started = client.receive(), client.receive()
        self.assertEqual(created["payload"]["action"], "create")
        self.assertEqual(started["payload"]["report"], created["payload"]["pk"])
        result = client.consume("thumbnails")
        self.assertIsInstance(result, ReportConsumer)
        states = [client.receive()["payload"]["data"]["state"] for _ in range(2)]
        self.assertEqual(states, ["working", "done"])
        self.assertEqual(Report.objects.get().thumbnail, "tropeR")
        delayed = self.get_next_message("asgi.delay", require=True)
        client.send_and_consume(delayed["channel"], delayed["content"])
        self.assertEqual(client.receive()["payload"]["action"], "delete")

    def test_the_consumer_of_a_channel(self):
        self.assertIs(Client().get_consumer_by_channel("thumbnails"), ReportConsumer)
        self.assertIsNone(Client().get_consumer_by_channel("unknown"))

    def test_a_class_in_a_plain_route(self):
        with apply_routes([route("reports.clean", ReportConsumer)]):
            report = Report.objects.create(board=self.board, title="May", state="done")
            Channel("reports.clean").send({"report": str(report.pk)})
            Client().consume("reports.clean")
        self.assertFalse(Report.objects.exists())


class BindingTests(DashboardTestCase):
    """What people did to bindings beside what was documented."""

    def test_a_binding_made_at_run_time_with_overridden_receivers(self):
        changes = []

        class Watching(Binding):
            model = None

            @classmethod
            def pre_change_receiver(cls, instance, action):
                super().pre_change_receiver(instance, action)
                changes.append((action, instance._binding_group_names[cls]))

            def send_messages(self, instance, group_names, action, **kwargs):
                changes.append((action, group_names, kwargs["raw"]))

        made = type(
            "Made",
            (Watching,),
            {
                "model": Board,
                "stream": "made",
                "fields": [],
                "group_names": classmethod(lambda cls, instance: ["made"]),
            },
        )
        try:
            Board.objects.create(slug="new", title="New")
        finally:
            forget(made)
            forget(Watching)
        self.assertEqual(changes[0], (CREATE, set()))
        self.assertIn((CREATE, {"made"}, False), changes)

    def test_an_own_metaclass(self):
        class Collecting(BindingMetaclass):
            collected = []

            def __new__(cls, name, bases, body):
                made = super().__new__(cls, name, bases, body)
                cls.collected.append(name)
                return made

        class Abstract(WebsocketBinding, metaclass=Collecting):
            model = None

        forget(Abstract)
        self.assertEqual(Collecting.collected, ["Abstract"])

    def test_the_binding_is_known(self):
        self.assertIn(WidgetBinding, BindingMetaclass.binding_classes)
        self.assertEqual(WidgetBinding.model_label, "dashboard.widget")


class SessionTests(DashboardTestCase):
    def test_a_session_of_the_socket_is_made_when_it_connects(self):
        client = self.look(self.ada)
        self.assertEqual(Session.objects.filter(session_key__startswith="chn").count(), 1)
        session = session_for_reply_channel(client.reply_channel)
        self.assertEqual(session["_auth_user_id"], str(self.ada.pk))

    def test_the_consumer_of_a_stream_works_alone_too(self):
        class Alone(CommandConsumer):
            def connect(self, message, **kwargs):
                self.message.reply_channel.send({"accept": True})

            def receive(self, content, **kwargs):
                self.send({"alone": content})

        with apply_routes([Alone.as_route(path="^/alone")]):
            client = WSClient()
            client.send_and_consume("websocket.connect", path="/alone")
            client.send_and_consume("websocket.receive", text=[1], path="/alone")
        self.assertEqual(client.receive(), {"alone": [1]})


def forget(binding):
    """Take a class of a test out again, so that it ends with the test."""
    BindingMetaclass.binding_classes.remove(binding)
