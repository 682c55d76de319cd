"""What the project tests with the live server. All of these must pass."""

from __future__ import annotations

import json
import multiprocessing
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

from django.conf import settings
from django.contrib.auth.models import User
from django.test import override_settings
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from channels import Channel, Group, channel_layers
from channels.asgi import ChannelLayerWrapper
from channels.test import ChannelLiveServerTestCase
from channels.test.liveserver import WorkerProcess

#: Made before any test: it must follow to the layer of the tests all the same.
EVERYBODY = Group("all")


def fetch(url: str) -> str:
    with urlopen(url, timeout=20) as response:
        text: str = response.read().decode()
    return text


class TestHttp(ChannelLiveServerTestCase):
    def setUp(self) -> None:
        User.objects.create(username="ada")

    def test_views_see_the_test_database(self) -> None:
        assert json.loads(fetch(f"{self.live_server_url}/users")) == ["ada"]

    def test_each_test_has_the_database_for_itself(self) -> None:
        assert User.objects.count() == 1

    def test_what_was_not_overridden_is_as_in_the_settings_module(self) -> None:
        assert fetch(f"{self.live_server_url}/greeting") == "OF THE MODULE!"

    def test_static_files_are_served(self) -> None:
        assert "green" in fetch(f"{self.live_server_url}/static/live.css")

    def test_workers_run_in_a_process_of_their_own(self) -> None:
        assert int(fetch(f"{self.live_server_url}/pid")) != os.getpid()

    def test_the_urls_have_host_and_port(self) -> None:
        assert self.live_server_url.startswith("http://localhost:")
        assert self.live_server_ws_url == self.live_server_url.replace("http", "ws")


class TestEnd(ChannelLiveServerTestCase):
    def test_all_processes_end_with_the_test(self) -> None:
        assert len(multiprocessing.active_children()) == 2
        self.addClassCleanup(self.check_ended)

    def check_ended(self) -> None:
        assert multiprocessing.active_children() == []


class TestWithoutStaticFiles(ChannelLiveServerTestCase):
    serve_static = False

    def test_static_files_are_left_to_views(self) -> None:
        # Each child that is spawned imports this module, and pytest takes long.
        with self.assertRaises(HTTPError) as caught:  # noqa: PT027
            fetch(f"{self.live_server_url}/static/live.css")
        caught.exception.close()
        assert caught.exception.code == 404


class TestThreads(ChannelLiveServerTestCase):
    worker_threads = 2

    def test_as_many_consumers_run_at_once_as_there_are_threads(self) -> None:
        with ThreadPoolExecutor(2) as pool:
            url = f"{self.live_server_url}/meet"
            assert list(pool.map(fetch, [url, url])) == ["met", "met"]


@override_settings(GREETING="of the class", SECRET_KEY="another")
class TestOverrides(ChannelLiveServerTestCase):
    def test_the_workers_have_the_overrides_of_the_class(self) -> None:
        assert fetch(f"{self.live_server_url}/greeting") == "OF THE CLASS!"


class TestAddress(ChannelLiveServerTestCase):
    host = "127.0.0.1"

    def test_the_host_is_the_one_asked_for_and_is_allowed(self) -> None:
        assert self.live_server_url.startswith("http://127.0.0.1:")
        assert self.host in settings.ALLOWED_HOSTS
        assert json.loads(fetch(f"{self.live_server_url}/users")) == []


class TestWebSocket(ChannelLiveServerTestCase):
    def connect(self) -> ClientConnection:
        socket = self.enterContext(
            connect(f"{self.live_server_ws_url}/chat", origin=Origin(self.live_server_url))
        )
        assert socket.recv(timeout=20) == "welcome"
        return socket

    def test_sockets_reach_each_other(self) -> None:
        one, two = self.connect(), self.connect()
        one.send("hello")
        assert [one.recv(timeout=20), two.recv(timeout=20)] == ["hello", "hello"]

    def test_the_test_itself_can_send_to_sockets(self) -> None:
        socket = self.connect()
        Group("all").send({"text": "from the test"})
        assert socket.recv(timeout=20) == "from the test"
        EVERYBODY.send({"text": "and again"})
        assert socket.recv(timeout=20) == "and again"


class TestFlush(ChannelLiveServerTestCase):
    def check(self) -> None:
        assert channel_layers["default"].receive(["test.left-over"]) == (None, None)
        Channel("test.left-over").send({})

    def test_the_layer_is_empty_at_first(self) -> None:
        self.check()

    def test_the_layer_is_empty_again_afterwards(self) -> None:
        self.check()


class CountingWorkerProcess(WorkerProcess):
    """A class that can be imported only when Django is set up, as this module needs models."""

    def serve(self, layer: ChannelLayerWrapper) -> None:
        User.objects.create(username="made by the worker process")
        super().serve(layer)
        Path(os.environ["LIVE_DIRECTORY"], "ended").touch()


class TestOwnWorkerProcess(ChannelLiveServerTestCase):
    WorkerProcess = CountingWorkerProcess

    def setUp(self) -> None:
        self.ended = Path(os.environ["LIVE_DIRECTORY"], "ended")
        self.ended.unlink(missing_ok=True)

    def test_classes_of_the_project_can_use_its_models(self) -> None:
        assert User.objects.get().username == "made by the worker process"
        assert not self.ended.exists()
        # Runs before the processes are stopped, so that only the next class can look.
        self.addClassCleanup(self.check_ended)

    def check_ended(self) -> None:
        assert self.ended.exists(), "the worker did not end by itself"
