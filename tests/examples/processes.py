"""The examples of the documentation as their users run them: real processes, and people."""

from __future__ import annotations

import collections
import contextlib
import json
import os
import re
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

import httpx
from websockets.sync.client import ClientConnection, connect

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "examples"

#: Seconds after which what was awaited is not going to happen any more, on a busy machine too.
PATIENCE = 30


class Process:
    """``python`` with ``arguments`` in the directory of an example."""

    def __init__(self, directory: Path, arguments: list[str], environment: dict[str, str]) -> None:
        self.lines: list[str] = []
        self._arguments = arguments
        self._more = threading.Condition()
        self._process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=directory,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as output:
            for line in output:
                with self._more:
                    self.lines.append(line)
                    self._more.notify_all()
        with self._more:
            self._more.notify_all()

    def wait_for_line(self, pattern: str) -> re.Match[str]:
        """Wait until a line of the output has ``pattern``."""

        def find() -> re.Match[str] | None:
            return next(filter(None, (re.search(pattern, line) for line in self.lines)), None)

        with self._more:
            self._more.wait_for(lambda: find() or self._process.poll() is not None, PATIENCE)
        self._reader.join(0 if self._process.poll() is None else PATIENCE)
        match = find()
        assert match, f"{self._arguments} has not said {pattern!r}, but:\n{''.join(self.lines)}"
        return match

    def wait_for_port(self, port: int) -> None:
        """Wait until the process listens."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return
            time.sleep(0.02)
        raise AssertionError(f"Nothing listens on {port}:\n{''.join(self.lines)}")

    def ask_to_end(self) -> None:
        """Send SIGTERM."""
        self._process.terminate()

    def terminate(self) -> int:
        """End it with SIGTERM; its exit status."""
        self.ask_to_end()
        return self.wait()

    def kill(self) -> None:
        """End it with SIGKILL, whatever it is doing."""
        self._process.kill()
        self.wait()

    def wait(self) -> int:
        """Wait until it has ended by itself; its exit status."""
        try:
            return self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise
        finally:
            self._reader.join()


class ExampleSite:
    """An example with a database of its own, in memory or, with ``redis_url``, on Redis."""

    #: The name of its directory; with ``_DATABASE``, in capitals, that of its setting.
    name: str

    def __init__(self, database: Path, redis_url: str = "") -> None:
        self.database = database
        self.port = free_port()
        self._processes: list[Process] = []
        python_path = [str(ROOT), os.environ.get("PYTHONPATH", "")]
        self._environment = {
            **os.environ,
            f"{self.name.upper()}_DATABASE": str(database),
            "CHANNELS_REDIS_URL": redis_url,
            "DJANGO_SETTINGS_MODULE": "project.settings",
            "PYTHONPATH": os.pathsep.join(filter(None, python_path)),
        }

    def manage(self, *arguments: str) -> Process:
        """Run a command to its end, which must be a good one."""
        command = self._start("manage.py", *arguments)
        assert command.wait() == 0, "".join(command.lines)
        return command

    def runserver(self) -> Process:
        """Start the development server, which has workers of its own."""
        server = self._start("manage.py", "runserver", "--noreload", f"127.0.0.1:{self.port}")
        server.wait_for_port(self.port)
        return server

    def uvicorn(self) -> Process:
        """Start an interface server."""
        server = self._start("-m", "uvicorn", "project.asgi:application", f"--port={self.port}")
        server.wait_for_line("Uvicorn running")
        return server

    def runworker(self) -> Process:
        """Start a worker."""
        worker = self._start("manage.py", "runworker")
        worker.wait_for_line("Listening on channels")
        return worker

    def _start(self, *arguments: str) -> Process:
        process = Process(EXAMPLES / self.name, list(arguments), self._environment)
        self._processes.append(process)
        return process

    def stop(self) -> None:
        """End all its processes."""
        for process in self._processes:
            process.ask_to_end()
        for process in self._processes:
            process.terminate()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.url(path), timeout=PATIENCE)

    def socket(self, path: str) -> ClientConnection:
        """A socket to ``path``, open for the length of a ``with`` block."""
        url = f"ws://127.0.0.1:{self.port}{path}"
        # Without a limit on what waits, so that a test need not read what does not concern it.
        return connect(url, open_timeout=PATIENCE, max_queue=None, proxy=None)


class Site(ExampleSite):
    """The chat."""

    name = "chat"

    def __init__(self, database: Path, redis_url: str = "") -> None:
        super().__init__(database, redis_url)
        #: The room that people enter.
        self.room = "lobby"

    def open_room(self) -> None:
        """Open a room that nobody has been in, for people to enter from now on."""
        self.room = f"room-{uuid.uuid4().hex[:8]}"
        self.execute(f"INSERT INTO chat_room (title, slug) VALUES ('{self.room}', '{self.room}')")

    def execute(self, statement: str) -> None:
        """Change the database behind the chat's back."""
        with contextlib.closing(sqlite3.connect(self.database, timeout=PATIENCE)) as database:
            database.execute(statement)
            database.commit()

    @contextlib.contextmanager
    def enter(self, name: str, room: str = "", since: int = 0) -> Iterator[Person]:
        """Open a socket, as the page does, for the length of the block."""
        query = urlencode({"name": name, "since": since})
        with self.socket(f"/chat/{room or self.room}/?{query}") as connection:
            yield Person(connection)


class Person:
    """Somebody in a room, by a socket."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self._frames: collections.deque[dict[str, Any]] = collections.deque()
        self._said = 0

    def say(self, text: str, key: str | None = None) -> None:
        self.send({"key": key or text, "text": text})

    def send(self, frame: object) -> None:
        self.connection.send(json.dumps(frame))

    def receive(self, kind: str) -> dict[str, Any]:
        """The next frame of that type; those of other types are left for later."""
        for frame in self._frames:
            if frame["type"] == kind:
                self._frames.remove(frame)
                return frame
        while True:
            frame = json.loads(self.connection.recv(PATIENCE))
            if frame["type"] == kind:
                return frame
            self._frames.append(frame)

    def receive_texts(self, count: int) -> set[str]:
        """Wait until ``count`` different messages have come, and return their texts."""
        texts: set[str] = set()
        while len(texts) < count:
            texts.add(self.receive("message")["text"])
        return texts


AnySite = TypeVar("AnySite", bound=ExampleSite)

#: The file of a database that has been migrated and holds nothing, by the name of the example.
_tables: dict[str, bytes] = {}


@contextlib.contextmanager
def running(site: AnySite) -> Iterator[AnySite]:
    """``site`` with the tables in its database; its processes do not outlive the block."""
    try:
        make_tables(site)
        yield site
    finally:
        site.stop()


def make_tables(site: ExampleSite) -> None:
    """Migrate a new database, or copy one that has been migrated before."""
    if tables := _tables.get(site.name):
        site.database.write_bytes(tables)
    else:
        site.manage("migrate")
        _tables[site.name] = site.database.read_bytes()


def running_site(database: Path, redis_url: str = "") -> contextlib.AbstractContextManager[Site]:
    """A chat whose processes do not outlive the block."""
    return running(Site(database, redis_url))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
