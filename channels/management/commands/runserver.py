from __future__ import annotations

import datetime
import errno
import logging
import os
import sys
import threading
from argparse import ArgumentParser
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.staticfiles.management.commands.runserver import (
    Command as StaticfilesRunserver,
)
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError
from django.core.management.commands.runserver import Command as DjangoRunserver
from django.db import connections
from django.utils import autoreload

from channels import DEFAULT_CHANNEL_LAYER, channel_layers
from channels.asgi import ChannelLayerWrapper
from channels.exceptions import InvalidChannelLayerError
from channels.interface.server import Server, tcp_endpoint
from channels.log import setup_logger
from channels.signals import worker_process_ready, worker_ready
from channels.staticfiles import default_http_consumer
from channels.worker import Worker

logger = logging.getLogger("django.channels")

BIND_ERRORS = {
    errno.EACCES: "You don't have permission to access that port.",
    errno.EADDRINUSE: "That port is already in use.",
    errno.EADDRNOTAVAIL: "That IP address can't be assigned to.",
}

#: Consumers that run at once: enough for a page with a few slow requests beside its socket.
WORKER_THREADS = 4

LOG_LINES = {
    ("http", "complete"): "HTTP {method} {path} {status} [{time_taken:.2f}, {client}]",
    ("websocket", "connecting"): "WebSocket HANDSHAKING {path} [{client}]",
    ("websocket", "connected"): "WebSocket CONNECT {path} [{client}]",
    ("websocket", "disconnected"): "WebSocket DISCONNECT {path} [{client}]",
    ("websocket", "rejected"): "WebSocket REJECT {path} [{client}]",
}

RunserverCommand = (
    StaticfilesRunserver if apps.is_installed("django.contrib.staticfiles") else DjangoRunserver
)


class WorkerThread(threading.Thread):
    """A worker beside the interface server, which ends with the process.

    A consumer that exits ends nothing here: nobody would start the thread anew.
    """

    def __init__(self, channel_layer: ChannelLayerWrapper) -> None:
        super().__init__(daemon=True, name="channels-worker")
        self.channel_layer = channel_layer

    def run(self) -> None:
        worker = Worker(self.channel_layer, signal_handlers=False)
        worker_ready.send(sender=worker)
        while not worker.termed:
            try:
                worker.run()
            except (SystemExit, KeyboardInterrupt):
                logger.critical("A consumer exits, but its worker goes on.", exc_info=True)


class Command(RunserverCommand):  # type: ignore[misc, valid-type]
    help = "Starts a development server for HTTP and WebSockets, with workers in the same process."

    #: Replaceable: called with keywords, then ``run()``.
    server_cls: Any = Server

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--noworker",
            action="store_false",
            dest="run_worker",
            help="Start no worker threads: runworker processes do the work.",
        )
        parser.add_argument(
            "--noasgi",
            action="store_false",
            dest="use_asgi",
            help="Run Django's own development server, without WebSockets.",
        )
        parser.add_argument(
            "--http_timeout",
            type=int,
            default=60,
            help="Seconds until a request that no worker answers gets 503 (0: never).",
        )
        parser.add_argument(
            "--websocket_handshake_timeout",
            type=int,
            default=5,
            help="Seconds until a socket that no worker accepts is refused (0: never).",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        self.verbosity = options["verbosity"]
        setup_logger("django.channels", self.verbosity)
        super().handle(*args, **options)

    def inner_run(self, *args: Any, **options: Any) -> None:
        if not options["use_asgi"] or DEFAULT_CHANNEL_LAYER not in channel_layers:
            self.server_cls = DjangoRunserver.server_cls
            super().inner_run(*args, **options)
            return
        autoreload.raise_last_exception()
        self.run_checks(options)
        layer = self.make_layer(options)
        try:
            server = self.make_server(layer, options)
            self.on_bind(self.port)
            self.stdout.write(f"Channel layer {layer}")
            if options["run_worker"]:
                self.start_workers(layer, WORKER_THREADS if options["use_threading"] else 1)
            server.run()
        except OSError as error:
            self.stderr.write(f"Error: {BIND_ERRORS.get(error.errno or 0, error)}")
            # sys.exit() would end only the thread that the autoreloader runs this in.
            os._exit(1)
        except KeyboardInterrupt:
            if options.get("shutdown_message"):
                self.stdout.write(options["shutdown_message"])
            sys.exit(0)

    def run_checks(self, options: dict[str, Any]) -> None:
        """The same checks, shown in the same way, as with Django's own command."""
        if not options["skip_checks"]:
            self.stdout.write("Performing system checks...\n\n")
            self.check(display_num_errors=True)
        self.check_migrations()
        for connection in connections.all(initialized_only=True):
            connection.close()

    def make_layer(self, options: dict[str, Any]) -> ChannelLayerWrapper:
        """The default layer, with the default consumers behind its routing."""
        use_static = options.get("use_static_handler", False) and (
            settings.DEBUG or options["insecure_serving"]
        )
        try:
            layer = channel_layers[DEFAULT_CHANNEL_LAYER]
            layer.router.check_default(http_consumer=default_http_consumer(use_static))
        except (InvalidChannelLayerError, ImproperlyConfigured) as error:
            raise CommandError(str(error)) from error
        if layer.local_only() and not options["run_worker"]:
            raise CommandError(
                f"With --noworker nothing would ever answer: the channel layer {layer} is seen "
                "by this process only."
            )
        return layer

    def start_workers(self, layer: ChannelLayerWrapper, count: int) -> None:
        """Start the worker threads of this process."""
        threads = [WorkerThread(layer) for _ in range(count)]
        worker_process_ready.send(sender=threads[0])
        for thread in threads:
            thread.start()

    def make_server(self, layer: ChannelLayerWrapper, options: dict[str, Any]) -> Any:
        """The interface server, not yet running."""
        return self.server_cls(
            channel_layer=layer.channel_layer,
            endpoints=[tcp_endpoint(self.addr, int(self.port))],
            signal_handlers=not options["use_reloader"],
            action_logger=self.log_action,
            http_timeout=options["http_timeout"],
            ws_protocols=None,
            root_path=settings.FORCE_SCRIPT_NAME or "",
            websocket_handshake_timeout=options["websocket_handshake_timeout"],
        )

    def log_action(self, protocol: str, action: str, details: dict[str, Any]) -> None:
        """Write one line about what the interface server did to stderr.

        ``protocol`` is ``"http"`` or ``"websocket"``; ``action`` and ``details`` are as the
        interface server describes them.
        """
        line = LOG_LINES[protocol, action].format(**details)
        style = self.style.SUCCESS
        if protocol == "http":
            style = self.status_style(details["status"])
        elif action in ("disconnected", "rejected"):
            style = self.style.WARNING
        now = datetime.datetime.now().strftime("%Y/%m/%d %H:%M:%S")
        self.stderr.write(style(f"[{now}] {line}"), lambda text: text)

    def status_style(self, status: int) -> Any:
        """The colour of an HTTP status, as in Django's own command."""
        if status >= 500:
            return self.style.HTTP_SERVER_ERROR
        if status == 404:
            return self.style.HTTP_NOT_FOUND
        if status >= 400:
            return self.style.HTTP_BAD_REQUEST
        if status >= 300:
            return self.style.HTTP_REDIRECT
        return self.style.HTTP_SUCCESS
