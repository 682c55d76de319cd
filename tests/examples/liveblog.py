"""The liveblog of the documentation, with an editor in its admin and readers on its sockets."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from websockets.sync.client import ClientConnection

from .processes import PATIENCE, ExampleSite, Process

PASSWORD = "the password of the tests"


class Liveblog(ExampleSite):
    name = "liveblog"

    def __init__(self, database: Path, redis_url: str = "", debug: bool = True) -> None:
        super().__init__(database, redis_url)
        self.redis_url = redis_url
        self._environment["LIVEBLOG_DEBUG"] = str(int(debug))
        self._environment["DJANGO_SUPERUSER_PASSWORD"] = PASSWORD

    def add_editor(self) -> None:
        self.manage("createsuperuser", "--noinput", "--username=editor", "--email=")

    def tracebacks(self) -> list[str]:
        """The lines of all its processes that are the beginning of one."""
        lines = (line for process in self._processes for line in process.lines)
        return [line for line in lines if "Traceback" in line]

    def rundelay(self) -> Process:
        """Start a delay server."""
        server = self._start("manage.py", "rundelay")
        server.wait_for_line("Listening on asgi.delay")
        return server


class Editor:
    """Somebody who is logged in to the admin, by its forms."""

    def __init__(self, site: Liveblog, username: str = "editor", password: str = PASSWORD) -> None:
        self._http = httpx.Client(
            base_url=site.url("/admin/"), timeout=PATIENCE, follow_redirects=True
        )
        self._login = {"username": username, "password": password, "next": "/admin/"}

    def __enter__(self) -> Editor:
        self._http.__enter__()
        self._submit("login/", **self._login)
        return self

    def __exit__(self, *error: object) -> None:
        self._http.close()

    def add(self, title: str, text: str = "Text", at: datetime | None = None) -> str:
        """Make a post, which is a draft without a date; the key of it."""
        page = self._submit("blog/post/add/", _continue="1", **fields(title, text, at))
        match = re.search(r"/blog/post/(\d+)/change/", str(page.url))
        assert match, page.text
        return match[1]

    def change(self, pk: str, title: str, text: str = "Text", at: datetime | None = None) -> None:
        self._submit(f"blog/post/{pk}/change/", **fields(title, text, at))

    def delete(self, pk: str) -> None:
        self._submit(f"blog/post/{pk}/delete/", post="yes")

    def act(self, action: str, *pks: str) -> None:
        """Run an action of the list on some of its posts."""
        self._submit("blog/post/", action=action, _selected_action=pks)

    def delete_selected(self, *pks: str) -> None:
        """The list's own action, and the page that asks again."""
        self._submit("blog/post/", action="delete_selected", _selected_action=pks, post="yes")

    def _submit(self, path: str, **data: Any) -> httpx.Response:
        self._http.get(path).raise_for_status()
        data["csrfmiddlewaretoken"] = self._http.cookies["csrftoken"]
        page = self._http.post(path, data=data)
        assert page.status_code == 200, page.text
        assert page.history, f"The admin has refused {data}:\n{page.text}"
        return page


def fields(title: str, text: str, at: datetime | None) -> dict[str, str]:
    moment = at.astimezone(UTC) if at else None
    return {
        "title": title,
        "text": text,
        "publish_at_0": moment.strftime("%Y-%m-%d") if moment else "",
        "publish_at_1": moment.strftime("%H:%M:%S") if moment else "",
    }


class Reader:
    """What a page gets."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        first = self._next()
        assert first["action"] == "list"
        #: The titles of the posts on the page at first.
        self.titles = [post["data"]["title"] for post in first["posts"]]

    def _next(self) -> dict[str, Any]:
        frame = json.loads(self.connection.recv(PATIENCE))
        assert frame["stream"] == "posts"
        payload: dict[str, Any] = frame["payload"]
        return payload

    def send(self, frame: object) -> None:
        self.connection.send(json.dumps(frame))

    def next(self) -> tuple[str, str, dict[str, Any]]:
        """Action, key and data of the next frame, whatever it is."""
        payload = self._next()
        return payload["action"], str(payload["pk"]), payload["data"]
