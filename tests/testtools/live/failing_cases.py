"""Tests that must fail, each with a message that says why."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import threading
from contextlib import closing
from typing import Any, ClassVar
from unittest import mock

from django.conf import settings
from django.contrib.auth.models import User
from django.test import override_settings

from channels import Channel
from channels.asgi import ChannelLayerWrapper
from channels.test import ChannelLiveServerTestCase
from channels.test.liveserver import WorkerProcess

LAYER: dict[str, Any] = settings.CHANNEL_LAYERS["default"]


class FailingCase(ChannelLiveServerTestCase):
    #: Seconds, instead of those that the library has.
    start_timeout: ClassVar[float] = 60
    stop_timeout: ClassVar[float] = 20

    @classmethod
    def setUpClass(cls) -> None:
        for name, value in [("START", cls.start_timeout), ("STOP", cls.stop_timeout)]:
            patch = mock.patch(f"channels.test.processes.{name}_TIMEOUT", value)
            cls.enterClassContext(patch)
        super().setUpClass()

    @classmethod
    def tearDownClass(cls) -> None:
        super().tearDownClass()
        assert multiprocessing.active_children() == []

    def worker(self) -> multiprocessing.process.BaseProcess:
        children = multiprocessing.active_children()
        return next(child for child in children if isinstance(child, WorkerProcess))


class PortInUse(FailingCase):
    host = "127.0.0.1"

    @classmethod
    def setUpClass(cls) -> None:
        other = cls.enterClassContext(closing(socket.create_server(("127.0.0.1", 0))))
        cls.port = other.getsockname()[1]
        super().setUpClass()

    def test_port_in_use(self) -> None: ...


class BrokenWorkerProcess(WorkerProcess):
    def serve(self, layer: ChannelLayerWrapper) -> None:
        raise LookupError("no worker today")


class BrokenWorker(FailingCase):
    WorkerProcess = BrokenWorkerProcess

    def test_broken_worker(self) -> None: ...


class StuckWorkerProcess(WorkerProcess):
    def serve(self, layer: ChannelLayerWrapper) -> None:
        threading.Event().wait()


class StuckWorker(FailingCase):
    WorkerProcess = StuckWorkerProcess
    start_timeout = 5

    def test_stuck_worker(self) -> None: ...


class DeafWorkerProcess(WorkerProcess):
    def serve(self, layer: ChannelLayerWrapper) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        self.report_ready()
        threading.Event().wait()


class DeafWorker(FailingCase):
    WorkerProcess = DeafWorkerProcess
    stop_timeout = 1

    def test_deaf_worker(self) -> None: ...


class VanishedWorkerProcess(WorkerProcess):
    def serve(self, layer: ChannelLayerWrapper) -> None:
        os._exit(7)


class VanishedWorker(FailingCase):
    WorkerProcess = VanishedWorkerProcess

    def test_vanished_worker(self) -> None: ...


class KilledWorker(FailingCase):
    def test_killed_worker(self) -> None:
        Channel("test.die").send({})
        self.worker().join(20)


class FailingConsumer(FailingCase):
    def test_failing_consumer(self) -> None:
        Channel("test.fail").send({})
        while not User.objects.exists():
            assert self.worker().is_alive()
        raise AssertionError("so that the output is shown")


def refuse() -> None:
    raise LookupError("cannot be unpickled")


class Unloadable:
    def __reduce__(self) -> Any:
        return refuse, ()


@override_settings(UNLOADABLE=Unloadable())
class UnloadableSetting(FailingCase):
    def test_unloadable_setting(self) -> None: ...


@override_settings(CHANNEL_LAYERS={"default": LAYER, "other": LAYER})
class SeveralLayers(FailingCase):
    def test_several_layers(self) -> None: ...


@override_settings(CHANNEL_LAYERS={})
class NoLayers(FailingCase):
    def test_no_layers(self) -> None: ...


@override_settings(
    CHANNEL_LAYERS={
        "default": {
            "BACKEND": "channels.layers.InMemoryChannelLayer",
            "ROUTING": [],
            "TEST_CONFIG": {},
        }
    }
)
class LocalLayer(FailingCase):
    def test_local_layer(self) -> None: ...


@override_settings(CHANNEL_LAYERS={"default": {**LAYER, "TEST_CONFIG": {"hosts": "localhost"}}})
class BadLayer(FailingCase):
    def test_bad_layer(self) -> None: ...
