"""The dashboard with a server, workers and a Redis: as it was deployed."""

import threading

from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import connection
from websockets.exceptions import ConnectionClosedOK, InvalidStatus

from channels import Channel, channel_layers
from channels.delay.models import DelayedMessage
from channels.delay.worker import Worker as DelayWorker

from ..live import PATIENCE, LiveTestCase
from .models import Board, Report, Widget, WorkerStart


class DashboardLiveTestCase(LiveTestCase):
    def setUp(self):
        super().setUp()
        self.board = Board.objects.create(slug="sales", title="Sales")
        self.ada = User.objects.create_user("ada", password="secret")
        self.bob = User.objects.create_user("bob", password="secret", is_staff=True)
        self.widget = Widget.objects.create(board=self.board, name="orders", owner=self.ada)

    def look(self, user=None):
        socket = self.socket("/live/sales/", user)
        self.assertEqual(socket.receive()["stream"], "commands")
        return socket

    def send(self, socket, stream, **payload):
        socket.send(stream=stream, payload=payload)

    def await_action(self, socket, stream, action):
        return socket.receive_until(
            lambda c: c["stream"] == stream and c["payload"].get("action") == action
        )["payload"]


class BindingTests(DashboardLiveTestCase):
    def test_a_change_of_one_is_seen_by_all(self):
        ada, guest = self.look(self.ada), self.look()
        self.send(ada, "widgets", action="update", pk=self.widget.pk, data={"value": 4})
        for socket in (ada, guest):
            payload = self.await_action(socket, "widgets", "update")
            self.assertEqual(payload["data"]["value"], 4)

    def test_changes_of_views_and_of_the_test_are_seen(self):
        guest = self.look()
        self.assertEqual(self.http.get("/viewers/sales/").text, "1")
        self.http.post("/change/%d/" % self.widget.pk, data={"value": "9"})
        self.assertEqual(self.await_action(guest, "widgets", "update")["data"]["value"], 9)
        self.widget.delete()
        self.await_action(guest, "widgets", "delete")

    def test_guests_may_not_write(self):
        guest = self.look()
        self.send(guest, "widgets", action="update", pk=self.widget.pk, data={"value": 4})
        self.send(guest, "widgets", action="delete", pk=self.widget.pk)
        self.send(guest, "widgets", action="create", data={"board": self.board.pk, "name": "x"})
        # Frames are handled in their order: when this is answered, the others are done.
        self.send(guest, "echo", done=True)
        self.assertEqual(guest.receive(), {"stream": "echo", "payload": {"done": True}})
        self.widget.refresh_from_db()
        self.assertEqual((self.widget.value, Widget.objects.count()), (0, 1))

    def test_errors_leave_the_socket_open(self):
        ada = self.look(self.ada)
        ada.connection.send("no JSON")
        ada.send(stream="unknown", payload={})
        ada.send(stream="echo", payload=[])
        self.send(ada, "widgets", action="explode", pk=1)
        self.send(ada, "widgets", action="update", pk=10**30, data={})
        self.send(ada, "echo", n=1)
        self.assertEqual(ada.receive(), {"stream": "echo", "payload": {"n": 1}})


class BackgroundTests(DashboardLiveTestCase):
    def test_an_upload_is_worked_on_in_the_background(self):
        guest = self.look()
        answer = self.http.post("/upload/sales/", files={"file": ("may.csv", b"1,2,3")})
        self.assertEqual(answer.status_code, 202)
        created = self.await_action(guest, "reports", "create")
        self.assertEqual(created["pk"], answer.json()["report"])
        states = [self.await_action(guest, "reports", "update")["data"]["state"] for _ in "12"]
        self.assertEqual(states, ["working", "done"])
        self.assertEqual(Report.objects.get().thumbnail, "may.csv"[::-1])

    def test_a_delayed_message_cleans_up(self):
        worker = DelayWorker(
            channel_layers["default"], signal_handlers=False, database_sleep_duration=0.05
        )

        def serve():
            try:
                worker.run()
            finally:
                connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            guest = self.look()
            self.send(guest, "commands", command="report")
            self.await_action(guest, "reports", "delete")
        finally:
            worker.termed = True
            thread.join()
        self.assertFalse(DelayedMessage.objects.exists())

    def test_a_bad_job_does_not_stop_the_worker(self):
        Channel("thumbnails").send({"report": "no key"})
        Channel("thumbnails").send({})
        guest = self.look()
        self.send(guest, "echo", n=1)
        self.assertEqual(guest.receive()["payload"], {"n": 1})


class SocketTests(DashboardLiveTestCase):
    def test_unknown_boards_are_refused(self):
        with self.assertRaises(InvalidStatus) as caught, self.open("/live/none/"):
            pass
        self.assertEqual(caught.exception.response.status_code, 403)

    def test_both_sessions(self):
        socket = self.socket("/status/", self.ada, visits=3)
        self.assertEqual(socket.receive(), {"user": "ada"})
        socket.connection.send('"visits"')
        self.assertEqual(socket.receive(), {"visits": 3})
        socket.connection.send('"bye"')
        self.assertEqual(socket.receive(), {"bye": "/status/"})
        with self.assertRaises(ConnectionClosedOK):
            socket.connection.recv(PATIENCE)

    def test_the_session_of_views_is_that_of_sockets(self):
        self.http.get("/visit/")
        self.assertEqual(self.http.get("/visit/").text, "2")
        socket = self.socket("/status/?session_key=%s" % self.http.cookies["sessionid"])
        self.assertEqual(socket.receive(), {"user": None})
        socket.connection.send('"visits"')
        self.assertEqual(socket.receive(), {"visits": 2})

    def test_rows_of_channel_sessions_go_with_their_sockets(self):
        guest = self.look()
        rows = Session.objects.filter(session_key__startswith="chn")
        with self.open("/live/sales/", self.ada) as socket:
            socket.receive()
            self.assertEqual(rows.count(), 2)
        # There is one worker thread: what is answered now comes after the disconnect.
        wait_until_left(self.http)
        self.send(guest, "echo", n=1)
        guest.receive()
        self.assertEqual(rows.count(), 1)


class SignalTests(DashboardLiveTestCase):
    def test_workers_announce_themselves(self):
        kinds = WorkerStart.objects.order_by("pk").values_list("kind", flat=True)
        self.assertEqual(list(kinds), ["process", "worker"])


def wait_until_left(http):
    for _ in range(500):
        if http.get("/viewers/sales/").text == "1":
            return
    raise AssertionError("the other socket is in its group still")
