"""Tests against a real server, with workers in processes of their own."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, ClassVar

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.test import TransactionTestCase
from django.test.utils import modify_settings
from django.utils.module_loading import import_string

from ..asgi import ChannelLayerWrapper, channel_layers
from ..staticfiles import default_http_consumer
from ..worker import Worker, WorkerGroup
from .base import AroundTestMixin, replaced
from .processes import ChildProcess

__all__ = ["ChannelLiveServerTestCase", "ProtocolServerProcess", "WorkerProcess"]


class ProtocolServerProcess(ChildProcess):
    """Runs the interface server; reports the port that it listens on.

    Arguments: the alias of the layer, the host to bind and the port, 0 for any that is free.
    """

    title = "server process of the live server"

    def __init__(self, alias: str, host: str, port: int = 0) -> None:
        super().__init__(alias)
        self.host = host
        self.port = port

    def serve(self, layer: ChannelLayerWrapper) -> None:
        # Late, as only this process needs an ASGI server.
        endpoint = import_string("channels.interface.server.tcp_endpoint")
        server = import_string("channels.interface.server.Server")(
            channel_layer=layer.channel_layer,
            endpoints=[endpoint(self.host, self.port)],
            signal_handlers=False,
            root_path=settings.FORCE_SCRIPT_NAME or "",
            on_ready=lambda server: self.report_ready(server.port),
        )
        # The server's own handlers would send the signal again in the end, and so skip what
        # is to be done at exit.
        signal.signal(signal.SIGTERM, lambda signo, frame: server.stop())
        server.run()


class WorkerProcess(ChildProcess):
    """Runs workers.

    Arguments: the alias of the layer, the number of threads, and whether static files are
    served, as with ``runserver``.
    """

    title = "worker process of the live server"

    def __init__(self, alias: str, n_threads: int = 1, serve_static: bool = True) -> None:
        super().__init__(alias)
        self.n_threads = n_threads
        self.serve_static = serve_static

    def serve(self, layer: ChannelLayerWrapper) -> None:
        layer.router.check_default(http_consumer=default_http_consumer(self.serve_static))
        worker = self.make_worker(layer)
        worker.install_signal_handler()
        worker.ready()
        self.report_ready()
        worker.run()

    def make_worker(self, layer: ChannelLayerWrapper) -> Worker:
        """The worker to run."""
        if self.n_threads == 1:
            return Worker(layer)
        return WorkerGroup(layer, n_threads=self.n_threads)


class ChannelLiveServerTestCase(AroundTestMixin, TransactionTestCase):
    """Runs a server process and a worker process around each test.

    Needs exactly one channel layer, with a ``TEST_CONFIG`` of a layer that several processes
    share (it is emptied before each test), and databases that they share too: else
    ``ImproperlyConfigured``. The test itself uses the same layer. The processes have the
    settings of the time before ``setUp()``, overrides of the class included.
    """

    #: The name or address that the server binds and the URLs have; the port, 0 for a free one.
    host: ClassVar[str] = "localhost"
    port: ClassVar[int] = 0

    #: Replaceable: called with the alias and the keywords that they have here.
    ProtocolServerProcess: ClassVar[Any] = ProtocolServerProcess
    WorkerProcess: ClassVar[Any] = WorkerProcess

    #: Consumers that run at once.
    worker_threads: ClassVar[int] = 1

    #: Whether the workers serve static files, without ``collectstatic``.
    serve_static: ClassVar[bool] = True

    _port: int

    @property
    def live_server_url(self) -> str:
        """The URL of the server, such as ``http://localhost:40123``."""
        return f"http://{self._allowed_host}:{self._port}"

    @property
    def live_server_ws_url(self) -> str:
        """The same for WebSockets, such as ``ws://localhost:40123``."""
        return f"ws://{self._allowed_host}:{self._port}"

    @property
    def _allowed_host(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        check_databases()
        only_alias()

    @contextmanager
    def around_test(self) -> Iterator[None]:
        check_databases()
        alias = only_alias()
        with ExitStack() as stack:
            stack.enter_context(modify_settings(ALLOWED_HOSTS={"append": self._allowed_host}))
            stack.enter_context(shared_layer(alias))
            # A child must not inherit open connections: it would close them for us as well.
            connections.close_all()
            server = self.ProtocolServerProcess(alias, host=self.host, port=self.port)
            worker = self.WorkerProcess(
                alias, n_threads=self.worker_threads, serve_static=self.serve_static
            )
            stack.enter_context(running(server, worker))
            worker.wait_until_ready()
            self._port = server.wait_until_ready()
            yield


@contextmanager
def running(*processes: ChildProcess) -> Iterator[None]:
    """Start ``processes``, and stop them whatever happens.

    Raises ``RuntimeError`` when one of them ended by itself, or did not end when told to.
    """
    started: list[ChildProcess] = []
    try:
        for process in processes:
            process.start()
            started.append(process)
        yield
    finally:
        for process in started:
            process.terminate()
        complaints = [complaint for process in started if (complaint := process.finish())]
    if complaints:
        raise RuntimeError("\n".join(complaints))


@contextmanager
def shared_layer(alias: str) -> Iterator[None]:
    """Put the layer of ``TEST_CONFIG``, emptied, in the place of the real one."""
    layer = channel_layers.make_test_backend(alias).channel_layer
    if getattr(layer, "local_only", False):
        raise ImproperlyConfigured(
            f"ChannelLiveServerTestCase: the TEST_CONFIG of CHANNEL_LAYERS[{alias!r}] makes a "
            "layer that other processes cannot see; the server and the worker need one such as "
            "channels.layers.redis.RedisChannelLayer."
        )
    with replaced(alias, channel_layer=layer):
        try:
            layer.flush()
            yield
        finally:
            # Layers of others need not have it.
            getattr(layer, "close", bool)()


def only_alias() -> str:
    """The alias of the one channel layer; ``ImproperlyConfigured`` if there are more, or none."""
    aliases = sorted(channel_layers.configs)
    if len(aliases) != 1:
        raise ImproperlyConfigured(
            "ChannelLiveServerTestCase needs exactly one entry in CHANNEL_LAYERS, not "
            f"{len(aliases)} ({', '.join(aliases)}): override the setting for the test class."
        )
    return aliases[0]


def check_databases() -> None:
    """Raise ``ImproperlyConfigured`` for a database that lives in the memory of this process."""
    for connection in connections.all():
        in_memory = getattr(connection, "is_in_memory_db", None)
        if connection.vendor == "sqlite" and in_memory and in_memory():
            raise ImproperlyConfigured(
                f"ChannelLiveServerTestCase: the database {connection.alias!r} is an in-memory "
                "SQLite database, which the server's processes cannot see: give it a file for "
                f'tests, DATABASES[{connection.alias!r}]["TEST"] = {{"NAME": "test.sqlite3"}}, '
                "or use another database."
            )
