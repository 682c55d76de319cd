"""The dashboard of the ports, and what clients can come up with. Run by ``test_fuzz.py``."""

from __future__ import annotations

import json
from typing import Any

from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from hypothesis import given
from hypothesis import strategies as st

from tests.ports.dashboard.models import Board, Report, Widget

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
)

FIELDS = ["board", "board_id", "name", "value", "secret", "owner", "owner_id", "id", "pk", "title",
          "slug", "token", "state", "thumbnail", "_state", "__class__", "save"]  # fmt: skip
UUID = "11111111-2222-3333-4444-555555555555"

pks = mostly(st.integers(1, 2) | st.sampled_from(["1", " 1", "01", 1.0, True, UUID]), json_values)
data = st.dictionaries(
    st.sampled_from(FIELDS),
    mostly(st.integers(1, 9) | st.sampled_from(["stolen", "1"]), json_values),
    max_size=5,
)
good_data = st.fixed_dictionaries(
    {
        "board": st.just(1),
        "name": st.text(max_size=5),
        "title": st.text(max_size=5),
        "state": st.just("done"),
        "secret": st.just("stolen"),
        "token": st.just("stolen"),
        "owner": st.integers(1, 3),
        "owner_id": st.integers(1, 3),
    },
    optional={"value": st.integers(1, 9)},
)


def well_formed(stream: str, pk: object) -> st.SearchStrategy[dict[str, Any]]:
    """What the page sends on a stream, with more fields than it should."""
    actions = st.sampled_from(["create", "update", "delete"])
    payload = st.fixed_dictionaries({"action": actions, "pk": st.just(pk), "data": good_data})
    return st.fixed_dictionaries({"stream": st.just(stream), "payload": payload})


changes = st.fixed_dictionaries(
    {"action": mostly(st.sampled_from(["create", "update", "delete"]), json_values)},
    optional={"pk": pks, "data": mostly(data, json_values), "model": json_values},
)
asked = st.fixed_dictionaries(
    {
        "stream": mostly(
            st.sampled_from(["widgets", "widgets", "reports", "boards", "commands", "echo"]),
            json_values,
        ),
        "payload": mostly(changes, json_values),
    }
)
board_frames = frames(
    st.one_of(
        well_formed("widgets", 1),
        well_formed("boards", 1),
        well_formed("reports", UUID),
        mostly(asked, json_values),
    )
)

PEOPLE = ["nobody", "stranger", "owner", "staff"]


class DashboardFuzz(FuzzCase):
    def begin(self) -> Site:
        """Everything as it is at the start, for one example."""
        for model in (Widget, Report, Board, Session, User):
            model.objects.all().delete()
        self.users = {name: User.objects.create(username=name) for name in PEOPLE[1:]}
        self.users["staff"].is_staff = True
        self.users["staff"].save()
        board = Board.objects.create(pk=1, slug="sales", title="Sales")
        Widget.objects.create(pk=1, board=board, name="first", owner=self.users["owner"])
        Report.objects.create(pk=UUID, board=board, title="May")
        site = Site()
        site.layer.flush()
        return site

    def connect(self, site: Site, who: str) -> SocketOf:
        socket = SocketOf(site, "/live/sales/")
        user = self.users.get(who)
        headers = [[b"cookie", b"sessionid=" + log_in(user).encode()]] if user else []
        socket.connect(headers=headers)
        return socket

    @bounded
    @given(st.sampled_from(PEOPLE), st.lists(board_frames, min_size=1, max_size=6))
    def test_nobody_writes_or_reads_what_they_may_not(
        self, who: str, received: list[dict[str, Any]]
    ) -> None:
        site = self.begin()
        with quiet() as records:
            socket = self.connect(site, who)
            for frame in received:
                socket.receive(frame)
            socket.disconnect()
        self.check_hidden_fields(who)
        self.check_rows(who)
        for text in socket.texts():
            assert json.loads(text).keys() == {"stream", "payload"}
            assert "widget secret" not in text
            assert "board token" not in text
        assert channel_session_rows() == 0
        assert site.layer.group_channels("board-sales") == []
        assert of_the_library(records) == []

    def check_hidden_fields(self, who: str) -> None:
        """What no binding lists is as it was, whoever asked."""
        assert set(Widget.objects.values_list("secret", flat=True)) <= {"widget secret"}
        assert set(Board.objects.values_list("token", flat=True)) == {"board token"}
        assert set(Report.objects.values_list("thumbnail", flat=True)) == {""}
        owners = {widget.pk: widget.owner for widget in Widget.objects.all()}
        assert owners.pop(1, self.users["owner"]) == self.users["owner"]
        assert set(owners.values()) <= {self.users.get(who)}

    def check_rows(self, who: str) -> None:
        report = Report.objects.get()
        assert (str(report.pk), report.title, report.state) == (UUID, "May", "new")
        board = Board.objects.get()
        assert who == "staff" or (board.slug, board.title) == ("sales", "Sales")
        widget = Widget.objects.filter(pk=1).first()
        if who in ("nobody", "stranger"):
            assert widget is not None
            assert (widget.name, widget.value) == ("first", 0)
        if who == "nobody":
            assert Widget.objects.count() == 1

    @bounded
    @given(st.sampled_from(PEOPLE), data)
    def test_what_is_permitted_and_well_formed_is_done(
        self, who: str, extra: dict[str, Any]
    ) -> None:
        site = self.begin()
        extra = {key: value for key, value in extra.items() if key not in ("board", "value")}
        extra.pop("name", None)
        change = {"action": "update", "pk": 1, "data": {**extra, "value": 7}}
        with quiet():
            socket = self.connect(site, who)
            socket.receive({"text": json.dumps({"stream": "widgets", "payload": change})})
            socket.disconnect()
        expected = 7 if who in ("owner", "staff") else 0
        assert Widget.objects.get(pk=1).value == expected
        self.check_hidden_fields(who)
        assert channel_session_rows() == 0

    @bounded
    @given(st.lists(json_values, min_size=1, max_size=4), st.text(max_size=8))
    def test_a_socket_of_json_lives_through_everything(self, values: list[Any], path: str) -> None:
        site = self.begin()
        socket = SocketOf(site, f"/status/{path}")
        with quiet() as records:
            socket.connect()
            for value in values:
                socket.receive({"text": json.dumps(value)})
            socket.disconnect()
        if path in ("", "\n"):
            assert json.loads(socket.texts()[0]) == {"user": None}
        assert channel_session_rows() == 0
        assert site.layer.group_channels("status") == []
        assert of_the_library(records) == []
