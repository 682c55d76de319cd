"""The chat of the ports, and what clients can come up with. Run by ``test_fuzz.py``."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from hypothesis import given
from hypothesis import strategies as st

from tests.ports.chat.models import Line, Presence, Room

from .attacks import (
    FuzzCase,
    Site,
    SocketOf,
    bounded,
    channel_session_rows,
    frames,
    json_values,
    log_in,
    mostly,
    of_the_library,
    quiet,
    wire_values,
)

KEYS = ["KEY_OF_ADA", "KEY_OF_NOBODY", "x" * 32, "", "../../etc", "\x00", "\xfc"]
keys = st.sampled_from(KEYS) | st.text(max_size=12)

sayings = st.fixed_dictionaries({"command": st.just("say"), "text": st.text(max_size=10)})
commands = st.fixed_dictionaries(
    {
        "command": mostly(
            st.sampled_from(["say", "say", "stats", "heartbeat", "later", "dance"]), json_values
        )
    },
    optional={
        "text": mostly(st.text(max_size=10), json_values),
        "patience": json_values,
        "reply_channel": json_values,
        "order": json_values,
        "__retries__": json_values,
    },
)
chat_frames = frames(st.one_of(sayings, mostly(commands, json_values)))
header_pairs = st.lists(st.tuples(st.binary(max_size=8), st.binary(max_size=8)), max_size=3)
handshakes = st.fixed_dictionaries(
    {
        "cookie_key": mostly(st.just(KEYS[0]), st.none() | keys),
        "query_key": mostly(st.none(), keys),
        "headers": header_pairs,
        "query_string": st.binary(max_size=10),
        "origin": st.none() | st.binary(max_size=10) | st.just(b"http://testserver"),
    }
)
paths = mostly(
    st.sampled_from(["/room/lobby/", "/room/lobby/", "/room/staff/", "/room/none/"]),
    st.text(max_size=12) | st.sampled_from(["/room/", "/room//", "/status/", ""]),
)


class ChatFuzz(FuzzCase):
    def begin(self) -> Site:
        """Everything as it is at the start, for one example."""
        for model in (Line, Presence, Room, Session, User):
            model.objects.all().delete()
        self.lobby = Room.objects.create(slug="lobby", title="Lobby")
        Room.objects.create(slug="staff", title="Staff", staff_only=True)
        self.ada = User.objects.create(username="ada")
        self.key = log_in(self.ada)
        site = Site()
        site.layer.flush()
        return site

    def handshake(self, parts: dict[str, Any]) -> tuple[dict[str, Any], bool]:
        """The content of a connect message, and whether it may make its sender Ada."""
        headers = [list(pair) for pair in parts["headers"]]
        query, is_ada = parts["query_string"], False
        if parts["cookie_key"] is not None:
            key = parts["cookie_key"].replace("KEY_OF_ADA", self.key)
            is_ada |= self.key in key
            headers.append([b"cookie", b"sessionid=" + key.encode("utf-8", "replace")])
        if parts["query_key"] is not None:
            key = parts["query_key"].replace("KEY_OF_ADA", self.key)
            is_ada |= self.key in key
            query += b"&session_key=" + quote(key, errors="replace").encode()
        if parts["origin"] is not None:
            headers.append([b"origin", parts["origin"]])
        return {"headers": headers, "query_string": query}, is_ada

    @bounded
    @given(handshakes, paths, st.lists(chat_frames, max_size=6))
    def test_a_socket_does_what_it_may_and_leaves_nothing(
        self, parts: dict[str, Any], path: str, received: list[dict[str, Any]]
    ) -> None:
        site = self.begin()
        content, is_ada = self.handshake(parts)
        socket = SocketOf(site, path)
        with quiet() as records:
            socket.connect(**content)
            was_here = Presence.objects.exists()
            for frame in received:
                socket.receive(frame)
            socket.disconnect()
        lines = list(Line.objects.all())
        assert is_ada or not lines
        assert was_here or not lines
        assert {line.user for line in lines} <= {self.ada}
        assert {line.room for line in lines} <= {self.lobby}
        assert all(line.text.strip() for line in lines)
        assert not Presence.objects.exists()
        assert channel_session_rows() == 0
        assert site.layer.group_channels("room-lobby") == []
        assert of_the_library(records) == []

    @bounded
    @given(st.permutations(range(7)), st.sets(st.integers(1, 5)))
    def test_messages_in_any_order_have_the_effects_of_their_own_order(
        self, arrival: list[int], broken: set[int]
    ) -> None:
        site = self.begin()
        socket = SocketOf(site, "/room/lobby/")
        headers = [[b"cookie", b"sessionid=" + self.key.encode()]]
        contents: list[tuple[str, dict[str, Any]]] = [
            ("websocket.connect", {"headers": headers}),
            *(
                ("websocket.receive", {"text": "?" if number in broken else said(number)})
                for number in range(1, 6)
            ),
            ("websocket.disconnect", {"code": 1000}),
        ]
        with quiet() as records:
            for order in arrival:
                channel, content = contents[order]
                socket.order = order
                socket._send(channel, **content)
        expected = [str(number) for number in range(1, 6) if number not in broken]
        assert [line.text for line in Line.objects.all()] == expected
        assert [json.loads(text)["text"] for text in socket.texts() if "line" in text] == expected
        assert not Presence.objects.exists()
        assert channel_session_rows() == 0
        assert of_the_library(records) == []

    @bounded
    @given(
        st.sampled_from(["GET", "POST", "HEAD", "OPTIONS"]) | st.text(max_size=5),
        mostly(
            st.sampled_from(
                ["/", "/login/", "/say/lobby/", "/api/who/lobby/", "/export/lobby.txt", "/x"]
            ),
            st.text(max_size=10).map(lambda text: f"/{text}"),
        ),
        header_pairs,
        keys,
        st.binary(max_size=20) | st.sampled_from([b"since=1", b"limit=-1", b"limit=x"]),
        st.binary(max_size=20) | st.just(b"text=hello&username=ada&password=x"),
    )
    def test_every_request_has_one_answer(
        self,
        method: str,
        path: str,
        pairs: list[tuple[bytes, bytes]],
        key: str,
        query: bytes,
        body: bytes,
    ) -> None:
        site = self.begin()
        key = key.replace("KEY_OF_ADA", self.key)
        headers = [
            [b"host", b"testserver"],
            [b"cookie", b"sessionid=" + key.encode("utf-8", "replace")],
            [b"content-type", b"application/x-www-form-urlencoded"],
            *(list(pair) for pair in pairs),
        ]
        reply_channel = "http.response.fuzz!1"
        with quiet() as records:
            site.send(
                "http.request",
                reply_channel=reply_channel,
                method=method,
                path=path,
                headers=headers,
                query_string=query,
                body=body,
            )
            site.send("http.disconnect", reply_channel=reply_channel, path=path)
        statuses = [reply["status"] for reply in site.replies(reply_channel) if "status" in reply]
        # The project's own consumer for exports lets a limit that is no number be an error.
        assert len(statuses) == 1 or path == "/export/lobby.txt"
        authors = set(Line.objects.values_list("user__username", flat=True))
        assert authors <= ({"ada", None} if self.key in key else {None})
        assert of_the_library(records) == []

    @bounded
    @given(
        st.sampled_from(
            [
                "websocket.connect",
                "websocket.receive",
                "websocket.disconnect",
                "http.request",
                "http.disconnect",
                "chat.command",
                "presence.prune",
            ]
        ),
        st.dictionaries(
            st.sampled_from(
                [
                    "reply_channel",
                    "path",
                    "order",
                    "text",
                    "bytes",
                    "headers",
                    "query_string",
                    "method",
                    "body",
                    "body_channel",
                    "command",
                    "channel_name",
                    "seen",
                    "__retries__",
                    "original_channel",
                ]
            ),
            wire_values,
        ),
    )
    def test_no_message_ends_a_worker(self, channel: str, content: dict[str, Any]) -> None:
        site = self.begin()
        # A body that never comes would be waited for.
        content.pop("body_channel", None)
        presence = Presence.objects.create(room=self.lobby, channel_name="x")
        with quiet():
            site.send(channel, **content)
            site.send("presence.prune", channel_name="x", seen=str(presence.last_seen))
        assert not Line.objects.exists()
        assert not Presence.objects.filter(channel_name="x").exists()


def said(number: int) -> str:
    return json.dumps({"command": "say", "text": str(number)})
