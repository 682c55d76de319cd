"""The liveblog of the documentation: an editor works in the admin, readers have sockets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed

from tests.redis_server import RedisServer

from .liveblog import Editor, Liveblog, Reader
from .processes import PATIENCE, running


@pytest.fixture(scope="module", params=["in memory", "on Redis"])
def blog(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Liveblog]:
    """The liveblog: with runserver alone, or with uvicorn, two workers and a delay server."""
    database = tmp_path_factory.mktemp("liveblog") / "liveblog.sqlite3"
    if request.param == "in memory":
        with running(Liveblog(database)) as blog:
            blog.add_editor()
            blog.runserver()
            yield blog
    else:
        with RedisServer() as redis, running(Liveblog(database, redis.url)) as blog:
            blog.add_editor()
            blog.uvicorn()
            blog.runworker()
            blog.runworker()
            blog.rundelay()
            yield blog


@pytest.fixture
def editor(blog: Liveblog) -> Iterator[Editor]:
    with Editor(blog) as editor:
        yield editor


@pytest.fixture
def reader(blog: Liveblog) -> Iterator[Reader]:
    with blog.socket("/live/") as connection:
        yield Reader(connection)


def soon(seconds: int) -> datetime:
    return datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=seconds)


def a_moment_ago() -> datetime:
    return soon(-1)


def publish(editor: Editor, reader: Reader, title: str, at: datetime | None = None) -> str:
    """Make a post of one word, and let the reader have all that is told about it."""
    pk = editor.add(title, "Text", at or a_moment_ago())
    assert reader.next()[:2] == ("create", pk)
    assert reader.next()[:2] == ("update", pk)
    return pk


def test_a_reader_sees_a_post_from_its_publication_to_its_end(
    editor: Editor, reader: Reader
) -> None:
    at = a_moment_ago()
    pk = editor.add("First", "Three short words", at)
    action, key, data = reader.next()
    assert (action, key) == ("create", pk)
    assert (data["title"], data["text"], data["words"]) == ("First", "Three short words", 0)
    assert datetime.fromisoformat(data["publish_at"]) == at

    action, key, data = reader.next()
    assert (action, key) == ("update", pk)
    assert (data["title"], data["words"]) == ("First", 3), "a worker has counted the words"

    editor.change(pk, "Second", "Three <b>bold</b> words", at)
    action, key, data = reader.next()
    assert (action, key, data["title"]) == ("update", pk, "Second")
    assert data["text"] == "Three <b>bold</b> words"

    editor.delete(pk)
    assert reader.next()[:2] == ("delete", pk)


def test_withdrawing_is_seen_as_delete_and_publishing_as_create(
    editor: Editor, reader: Reader
) -> None:
    pk = publish(editor, reader, "Public")
    editor.change(pk, "Draft", "Secret")
    action, key, data = reader.next()
    assert (action, key) == ("delete", pk)
    assert list(data) == ["changed"], "the new text of the draft stays with the editors"

    editor.change(pk, "Draft", "Revealed", a_moment_ago())
    action, key, data = reader.next()
    assert (action, key, data["text"]) == ("create", pk, "Revealed")

    editor.act("withdraw", pk)
    assert reader.next()[:2] == ("delete", pk)
    editor.act("publish", pk)
    assert reader.next()[:2] == ("create", pk)


def test_a_post_that_is_put_off_is_seen_as_delete(editor: Editor, reader: Reader) -> None:
    pk = publish(editor, reader, "Public")
    editor.change(pk, "Later", "Secret", soon(3600))
    action, key, data = reader.next()
    assert (action, key, list(data)) == ("delete", pk, ["changed"])


def test_nothing_is_told_of_drafts(blog: Liveblog, editor: Editor, reader: Reader) -> None:
    draft = editor.add("Draft", "Secret")
    editor.change(draft, "Still a draft", "More secrets to be counted")
    editor.change(draft, "Scheduled", "Secret", soon(3600))
    editor.act("withdraw", draft)
    editor.delete(draft)
    kept = editor.add("Kept")
    scheduled = editor.add("Scheduled", at=soon(3600))
    public = publish(editor, reader, "Public")
    editor.delete_selected(kept, scheduled, public)
    assert reader.next()[:2] == ("delete", public)
    publish(editor, reader, "The next frames are these")


ROLLED_BACK = """
from django.db import transaction
from django.utils import timezone
from blog.models import Post

with transaction.atomic():
    Post.objects.create(title="Rolled back", text="Secret", publish_at=timezone.now())
    transaction.set_rollback(True)
Post.objects.create(title="Committed", text="Text", publish_at=timezone.now())
"""


def test_another_process_tells_what_it_has_committed_where_the_layer_reaches(
    blog: Liveblog, editor: Editor, reader: Reader
) -> None:
    blog.manage("shell", "-c", ROLLED_BACK)
    if blog.redis_url:
        action, _, data = reader.next()
        assert (action, data["title"]) == ("create", "Committed")
        action, _, data = reader.next()
        assert (action, data["title"]) == ("update", "Committed")
    publish(editor, reader, "The next frames are these")
    with blog.socket("/live/") as connection:
        titles = Reader(connection).titles
    assert "Committed" in titles
    assert "Rolled back" not in titles


def test_the_list_of_a_new_reader_has_the_public_posts_newest_first(
    blog: Liveblog, editor: Editor, reader: Reader
) -> None:
    older = publish(editor, reader, "Older", soon(-60))
    newer = publish(editor, reader, "Newer")
    editor.add("Draft of these")
    editor.add("Scheduled of these", at=soon(3600))
    with blog.socket("/live/") as connection:
        titles = Reader(connection).titles
    assert titles.index("Newer") < titles.index("Older")
    assert not {"Draft of these", "Scheduled of these"} & set(titles)
    editor.delete_selected(older, newer)
    with blog.socket("/live/") as connection:
        assert not {"Newer", "Older"} & set(Reader(connection).titles)


def test_a_scheduled_post_is_seen_when_it_is_due_unless_it_was_withdrawn(
    editor: Editor, reader: Reader
) -> None:
    withdrawn = editor.add("Withdrawn", at=soon(3))
    at = soon(4)
    scheduled = editor.add("On time", "Of four words only", at)
    editor.act("withdraw", withdrawn)
    action, key, data = reader.next()
    late = datetime.now(UTC) - at
    assert (action, key, data["title"]) == ("create", scheduled, "On time")
    assert data["words"] == 4, "it was counted while it waited"
    assert timedelta(0) <= late < timedelta(seconds=PATIENCE / 3)


def test_frames_of_readers_change_nothing(blog: Liveblog, editor: Editor, reader: Reader) -> None:
    pk = publish(editor, reader, "Untouched")
    data = {"title": "Defaced", "text": "Defaced", "publish_at": a_moment_ago().isoformat()}
    for payload in (
        {"action": "create", "data": data},
        {"action": "update", "pk": int(pk), "data": data},
        {"action": "delete", "pk": int(pk)},
    ):
        reader.send({"stream": "posts", "payload": payload})
    other = publish(editor, reader, "The next frames are these")
    editor.delete(other)
    assert reader.next()[:2] == ("delete", other)
    with blog.socket("/live/") as connection:
        titles = Reader(connection).titles
    assert "Untouched" in titles
    assert "Defaced" not in titles


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "no JSON",
        "[" * 100_000,
        json.dumps({"stream": "posts"}),
        json.dumps({"stream": "users", "payload": {}}),
        json.dumps({"stream": "posts", "payload": []}),
        json.dumps({"stream": "posts", "payload": {}}),
        json.dumps({"stream": "posts", "payload": {"action": "publish", "pk": 1}}),
        json.dumps({"stream": "posts", "payload": {"action": "delete", "pk": "x"}}),
        b"\xff",
    ],
    ids=lambda frame: repr(frame)[:70],
)
def test_a_frame_that_no_page_sends_closes_the_socket(
    blog: Liveblog, reader: Reader, frame: str | bytes
) -> None:
    reader.connection.send(frame)
    with pytest.raises(ConnectionClosed) as closed:
        reader.connection.recv(PATIENCE)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4000
    assert blog.tracebacks() == []


def test_the_demo_makes_an_admin_and_posts_once(tmp_path: Path) -> None:
    with running(Liveblog(tmp_path / "liveblog.sqlite3")) as blog:
        blog.manage("demo")
        blog.manage("demo")
        blog.runserver()
        with Editor(blog, "admin", "admin") as admin, blog.socket("/live/") as connection:
            reader = Reader(connection)
            assert reader.titles == ["Somebody else counts", "Welcome"]
            publish(admin, reader, "Mine")
        page = blog.get("/")
        assert page.status_code == 200
        assert "Liveblog" in page.text


def test_the_demo_refuses_to_make_an_admin_on_a_site_that_is_no_demo(tmp_path: Path) -> None:
    blog = Liveblog(tmp_path / "liveblog.sqlite3", debug=False)
    refused = pytest.raises(AssertionError, match="everybody knows the password")
    with running(blog), refused:
        blog.manage("demo")
