"""The chat of the documentation, through its sockets and pages."""

from __future__ import annotations

import json
import re

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from .processes import PATIENCE, Person, Site


def names(people: dict[str, list[dict[str, str]]]) -> list[str]:
    return [person["name"] for person in people["people"]]


def test_two_people_talk_to_each_other(site: Site) -> None:
    with site.enter("Ada") as ada, site.enter("Grace") as grace:
        grace.receive("people")
        ada.say("Good morning")
        assert grace.receive("message")["text"] == "Good morning"
        grace.say("Hello & <b>welcome</b> 🎉\nto you")
        ada.receive("message")
        answer = ada.receive("message")
        assert answer["text"] == "Hello & <b>welcome</b> 🎉\nto you"
        assert answer["name"] == "Grace"


def test_who_is_here_follows_who_joins_and_leaves(site: Site) -> None:
    with site.enter("Ada") as ada:
        people = ada.receive("people")
        assert names(people) == ["Ada"]
        assert ada.receive("joined") == {"type": "joined", "id": people["you"], "name": "Ada"}
        with site.enter("Grace") as grace:
            assert names(grace.receive("people")) == ["Ada", "Grace"]
            joined = ada.receive("joined")
            assert joined["name"] == "Grace"
        assert ada.receive("left") == {**joined, "type": "left"}
        with site.enter("Grace") as other:
            assert names(other.receive("people")) == ["Ada", "Grace"]


def test_two_people_may_have_one_name(site: Site) -> None:
    with site.enter("Ada") as one, site.enter("Ada") as other:
        assert names(other.receive("people")) == ["Ada", "Ada"]
        assert one.receive("joined")["name"] == "Ada"


def test_the_history_is_what_is_newer_than_the_page(site: Site) -> None:
    with site.enter("Ada") as ada:
        assert ada.receive("history")["messages"] == []
        first, second = (said(ada, text) for text in ("one", "two"))
    with site.enter("Grace") as grace:
        assert [m["text"] for m in grace.receive("history")["messages"]] == ["one", "two"]
    del second["type"]
    with site.enter("Grace", since=first["id"]) as grace:
        assert grace.receive("history")["messages"] == [second]


def said(person: Person, text: str) -> dict[str, str]:
    person.say(text)
    return person.receive("message")


def test_what_is_said_twice_with_one_key_is_stored_once(site: Site) -> None:
    with site.enter("Ada") as ada:
        ada.say("once", key="k")
        ada.say("once", key="k")
        assert ada.receive("message") == ada.receive("message")
    with site.enter("Grace") as grace:
        assert len(grace.receive("history")["messages"]) == 1


def test_rooms_are_apart_and_listed_with_their_last_activity(site: Site) -> None:
    with httpx.Client(base_url=site.url("/"), timeout=PATIENCE) as browser:
        form = browser.get("/").text
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form)
        assert token
        title = f"The Kitchen {site.room}"
        opened = browser.post("/", data={"csrfmiddlewaretoken": token[1], "title": title})
        assert opened.status_code == 302
        assert f"<h1>{title}</h1>" in browser.get(opened.headers["location"]).text
    with site.enter("Ada") as ada, site.enter("Grace", f"the-kitchen-{site.room}") as grace:
        assert names(grace.receive("people")) == ["Grace"]
        assert said(grace, "Soup")["text"] == "Soup"
        assert said(ada, "Silence")["text"] == "Silence"
    index = site.get("/").text
    spoken_last, spoken_before = index.index(f">{site.room}<"), index.index(f">{title}<")
    assert spoken_last < spoken_before < index.index("no messages yet")


def test_a_room_that_does_not_exist_refuses(site: Site) -> None:
    with pytest.raises(InvalidStatus) as refused, site.enter("Ada", room="nowhere"):
        pass
    assert refused.value.response.status_code == 403
    assert site.get("/rooms/nowhere/").status_code == 404


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "no JSON",
        "[]",
        "null",
        "[" * 100_000,
        json.dumps({}),
        json.dumps({"key": "k"}),
        json.dumps({"key": 1, "text": "x"}),
        json.dumps({"key": "k", "text": ["x"]}),
        json.dumps({"key": "k", "text": "   "}),
        json.dumps({"key": "k", "text": "x" * 1001}),
        json.dumps({"key": "k" * 51, "text": "x"}),
        json.dumps({"key": "k", "text": "\ud800"}),
        json.dumps({"key": "k", "text": "\0"}),
        b"\xff",
    ],
    ids=repr,
)
def test_a_frame_that_is_no_message_is_refused(site: Site, frame: str | bytes) -> None:
    with site.enter("Mallory") as mallory:
        mallory.connection.send(frame)
        assert "1 to 1000" in mallory.receive("refused")["reason"]
        mallory.say("still here", key=f"after {frame!r}"[:50])
        assert mallory.receive("message")["text"] == "still here"


@pytest.mark.parametrize(
    ("name", "shown"),
    [("", "Guest"), ("  a \n b ", "a b"), ("x" * 99, "x" * 30), ("\0", "Guest"), ("é<b>", "é<b>")],
)
def test_any_name_is_made_fit(site: Site, name: str, shown: str) -> None:
    with site.enter(name) as person:
        assert person.receive("joined")["name"] == shown


def test_a_worker_that_is_killed_takes_no_socket_and_one_message_at_most(
    workers_site: Site,
) -> None:
    doomed, _ = workers_site.runworker(), workers_site.runworker()
    with workers_site.enter("Ada") as ada, workers_site.enter("Grace") as grace:
        sent = {f"message {number}" for number in range(200)}
        for text in sorted(sent):
            ada.say(text)
        received = grace.receive_texts(10)
        doomed.kill()
        workers_site.runworker()
        received |= grace.receive_texts(189)
        for text in sent - received:  # As the page does when a message does not come back.
            ada.say(text)
        received |= grace.receive_texts(len(sent - received))
        assert received == sent
        assert names_of_newcomer(workers_site) == ["Ada", "Grace", "Linus"]


def names_of_newcomer(site: Site) -> list[str]:
    with site.enter("Linus") as linus:
        return names(linus.receive("people"))


def test_a_deploy_loses_no_socket_and_no_message(workers_site: Site) -> None:
    """Every worker is told to stop in the midst of traffic; new ones start only then."""
    workers = [workers_site.runworker(), workers_site.runworker()]
    with workers_site.enter("Ada") as ada, workers_site.enter("Grace") as grace:
        sent = {f"message {number}" for number in range(200)}
        for text in sorted(sent):
            ada.say(text)
        received = grace.receive_texts(10)
        assert [worker.terminate() for worker in workers] == [0, 0]
        workers_site.runworker()
        received |= grace.receive_texts(190)
        assert received == sent


def test_a_socket_that_the_room_has_forgotten_is_told_to_come_back(site: Site) -> None:
    with site.enter("Ada") as ada:
        ada.receive("joined")
        site.execute("DELETE FROM chat_presence")
        ada.say("Hello?")
        with pytest.raises(ConnectionClosed) as closed:
            ada.receive("message")
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4000
