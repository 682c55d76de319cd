"""Real delay servers over one database file."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[2]

#: Seconds that anything may take here.
PATIENCE = 30


class Site:
    """A project of its own: a database file, a Redis layer, and any number of servers."""

    def __init__(self, directory, layer, layer_config):
        self.database = directory / "delay.sqlite3"
        self.layer = layer
        self.servers = []
        self._environ = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.delay.site",
            "PYTHONPATH": str(ROOT),
            "DELAY_DATABASE": str(self.database),
            "DELAY_LAYER": json.dumps(layer_config),
        }

    def migrate(self):
        self._popen("migrate", "--verbosity=0").communicate(timeout=PATIENCE)

    def start_server(self, *options):
        """A running ``rundelay``, which listens already."""
        server = self._popen("rundelay", *options, stderr=subprocess.PIPE)
        self.servers.append(server)
        assert wait_for_line(server, "Listening on asgi.delay")
        return server

    def stop(self, server, signo):
        """Send the signal; what the server logged meanwhile, and its exit code."""
        server.send_signal(signo)
        _, log = server.communicate(timeout=PATIENCE)
        return log, server.returncode

    def kill_servers(self):
        for server in self.servers:
            if server.poll() is None:
                server.kill()
                server.communicate()

    def ask(self, content, delay=0):
        self.layer.send("asgi.delay", {"channel": "out", "content": content, "delay": delay})

    def store(self, contents):
        """Put messages that are due into the database."""
        now = datetime.now(UTC).replace(tzinfo=None)
        rows = [(str(now), "out", json.dumps(content)) for content in contents]
        connection = sqlite3.connect(self.database, timeout=PATIENCE)
        with connection:
            connection.executemany(
                'INSERT INTO "channels.delay_delayedmessage" (due_date, channel_name, content) '
                "VALUES (?, ?, ?)",
                rows,
            )
        connection.close()

    def stored(self):
        """The contents in the database."""
        connection = sqlite3.connect(self.database, timeout=PATIENCE)
        try:
            rows = connection.execute('SELECT content FROM "channels.delay_delayedmessage"')
            return [json.loads(content) for (content,) in rows]
        finally:
            connection.close()

    def receive(self, number):
        """The next ``number`` messages that were sent."""
        end = time.monotonic() + PATIENCE
        received = []
        while len(received) < number and time.monotonic() < end:
            name, content = self.layer.receive(["out"], block=True)
            if name:
                received.append(content)
        return received

    def receive_rest(self):
        """What is there now, without waiting."""
        received = []
        while (found := self.layer.receive(["out"]))[0]:
            received.append(found[1])
        return received

    def _popen(self, *arguments, **options):
        return subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "django", *arguments],
            cwd=ROOT,
            env=self._environ,
            text=True,
            **options,
        )


def wait_for_line(server, text):
    """The next line that ``server`` logs with ``text`` in it; ``""`` when it ends before."""
    for line in server.stderr:
        if text in line:
            return line
    return ""
