"""The chat with a server, workers and a Redis: as it was deployed."""

import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import connection
from websockets.exceptions import InvalidStatus

from channels import channel_layers
from channels.delay.worker import Worker as DelayWorker

from ..live import LiveTestCase
from .models import Line, Presence, Room


class ChatLiveTestCase(LiveTestCase):
    worker_threads = 4

    def setUp(self):
        super().setUp()
        self.room = Room.objects.create(slug="lobby", title="Lobby")
        self.ada = User.objects.create_user("ada", password="secret")
        self.bob = User.objects.create_user("bob", password="secret", is_staff=True)


class SocketTests(ChatLiveTestCase):
    def enter(self, user=None):
        name = user.username if user else "anonymous"
        socket = self.socket("/room/lobby/", user)
        socket.receive_until(lambda c: name in c.get("names", []))
        return socket

    def test_people_hear_each_other(self):
        ada, bob = self.enter(self.ada), self.enter(self.bob)
        ada.send(command="say", text="hello")
        for socket in (ada, bob):
            line = socket.receive_type("line")
            self.assertEqual((line["user"], line["text"]), ("ada", "hello"))

    def test_lines_of_one_person_keep_their_order(self):
        ada = self.enter(self.ada)
        texts = ["line %d" % number for number in range(25)]
        for text in texts:
            ada.send(command="say", text=text)
        self.assertEqual([ada.receive_type("line")["text"] for _ in texts], texts)
        self.assertEqual([line.text for line in Line.objects.all()], texts)

    def test_presence_follows_the_sockets(self):
        bob = self.enter(self.bob)
        with self.open("/room/lobby/", self.ada):
            bob.receive_until(lambda c: c.get("names") == ["ada", "bob"])
            self.assertEqual(self.http.get("/api/who/lobby/").json(), {"names": ["ada", "bob"]})
        bob.receive_until(lambda c: c.get("names") == ["bob"])
        presence = Presence.objects.get()
        members = channel_layers["default"].group_channels("room-lobby")
        self.assertEqual([presence.channel_name], list(members))

    def test_refusals(self):
        Room.objects.create(slug="staff", title="Staff", staff_only=True)
        for path in ("/room/nowhere/", "/room/staff/"):
            with self.assertRaises(InvalidStatus) as caught, self.open(path, self.ada):
                pass
            self.assertEqual(caught.exception.response.status_code, 403)
        self.socket("/room/staff/", self.bob).receive_type("presence")

    def test_commands_run_in_the_background(self):
        ada = self.enter(self.ada)
        ada.send(command="say", text="hello")
        ada.receive_type("line")
        ada.send(command="stats")
        self.assertEqual(ada.receive_type("stats")["said"], 1)
        ada.send(command="dance")
        self.assertEqual(ada.receive_type("error")["error"], "UNKNOWN_COMMAND")

    def test_errors_leave_the_socket_open(self):
        ada = self.enter(self.ada)
        ada.connection.send("no JSON")
        ada.connection.send(b"\x00\xff")
        ada.connection.send("[]")
        self.assertEqual(ada.receive_type("error")["error"], "NO_COMMAND")
        ada.send(command="say", text="still here")
        self.assertEqual(ada.receive_type("line")["text"], "still here")

    def test_the_rows_of_channel_sessions_go_with_their_sockets(self):
        bob = self.enter(self.bob)
        channel_rows = Session.objects.filter(session_key__startswith="chn")
        with self.open("/room/lobby/", self.ada):
            bob.receive_until(lambda c: c.get("names") == ["ada", "bob"])
            self.assertEqual(channel_rows.count(), 2)
        bob.receive_until(lambda c: c.get("names") == ["bob"])
        # The row is removed when the messages of the consumer have gone out already.
        wait_for(lambda: channel_rows.count() == 1)


class DelayTests(ChatLiveTestCase):
    def test_who_is_silent_is_removed_later(self):
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
            ada = self.socket("/room/lobby/", self.ada)
            ada.receive_until(lambda c: c.get("names") == ["ada"])
            ada.send(command="heartbeat", patience=50)
            ada.receive_until(lambda c: c.get("names") == [])
        finally:
            worker.termed = True
            thread.join()


class HttpTests(ChatLiveTestCase):
    def test_views_sessions_and_log_in(self):
        self.assertEqual(self.http.get("/").text, "Lobby")
        answer = self.http.post("/login/", data={"username": "ada", "password": "secret"})
        self.assertEqual((answer.status_code, answer.text), (200, "yes"))
        line = self.http.post("/say/lobby/", data={"text": "f\xfcr alle"}).json()
        self.assertEqual((line["user"], line["text"]), ("ada", "f\xfcr alle"))

    def test_the_export_goes_by_the_views(self):
        Line.objects.create(room=self.room, user=self.ada, text="one")
        answer = self.http.get("/export/lobby.txt?limit=5")
        self.assertEqual(answer.text, "ada: one\n")
        self.assertEqual(answer.cookies["exported"], "lobby")
        self.assertEqual(answer.headers["x-method"], "GET")
        self.assertEqual(self.http.post("/export/lobby.txt").status_code, 404)

    def test_views_behind_a_consumer(self):
        self.assertEqual(self.http.get("/api/who/nowhere/").status_code, 404)
        self.assertEqual(self.http.get("/api/who/lobby/").headers["x-api"], "1")


class PollTests(ChatLiveTestCase):
    def test_a_poll_is_answered_at_once_when_there_is_something(self):
        line = Line.objects.create(room=self.room, text="old")
        lines = self.http.get("/poll/lobby/").json()["lines"]
        self.assertEqual(lines, [line.as_dict()])

    def test_polls_wait_for_the_next_line(self):
        layer = channel_layers["default"]
        with ThreadPoolExecutor(2) as pool:
            polls = [pool.submit(self.http.get, "/poll/lobby/") for _ in range(2)]
            wait_for(lambda: len(layer.group_channels("poll-lobby")) == 2)
            line = self.http.post("/say/lobby/", data={"text": "news"}).json()
            for poll in polls:
                self.assertEqual(poll.result().json(), {"lines": [line]})
        # The disconnects leave the group.
        wait_for(lambda: not layer.group_channels("poll-lobby"))

    def test_who_gives_up_a_poll_leaves_the_group(self):
        layer = channel_layers["default"]
        with self.assertRaises(httpx.ReadTimeout):
            self.http.get("/poll/lobby/", timeout=httpx.Timeout(30, read=0.5))
        wait_for(lambda: not layer.group_channels("poll-lobby"))
        self.assertEqual(self.http.get("/").status_code, 200)


def wait_for(condition, patience=30):
    """Wait for what other processes do and nothing tells of."""
    event = threading.Event()
    for _ in range(int(patience / 0.02)):
        if condition():
            return
        event.wait(0.02)
    raise AssertionError("it has not come true in %d seconds" % patience)
