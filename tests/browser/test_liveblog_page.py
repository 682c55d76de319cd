"""The page of the liveblog, in a browser, while somebody edits in another tab."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.examples.liveblog import PASSWORD, Liveblog
from tests.examples.processes import Process, running


@pytest.fixture
def blog(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Liveblog]:
    with running(Liveblog(tmp_path_factory.mktemp("liveblog") / "liveblog.sqlite3")) as blog:
        blog.add_editor()
        yield blog


@pytest.fixture
def server(blog: Liveblog) -> Process:
    return blog.runserver()


@pytest.fixture
def pages(browser: Browser, blog: Liveblog, server: Process) -> Iterator[list[Page]]:
    """A page for the reader and one for the editor, in browser sessions of their own."""
    contexts = [
        browser.new_context(viewport={"width": width, "height": height})
        for width, height in ((390, 844), (1280, 800))
    ]
    errors: list[object] = []
    pages = [context.new_page() for context in contexts]
    for page in pages:
        page.on("pageerror", lambda error: errors.append(error))
    yield pages
    for context in contexts:
        context.close()
    assert errors == []


@pytest.fixture
def reader(pages: list[Page], blog: Liveblog) -> Page:
    page = pages[0]
    page.goto(blog.url("/"))
    expect(page.locator("#state")).to_have_text("Connected")
    return page


@pytest.fixture
def editor(pages: list[Page], blog: Liveblog) -> Page:
    page = pages[1]
    page.goto(blog.url("/admin/"))
    page.get_by_label("Username").fill("editor")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.locator("#user-tools").wait_for()
    return page


def add(editor: Page, blog: Liveblog, title: str, text: str) -> None:
    """Make a post as of now."""
    editor.goto(blog.url("/admin/blog/post/add/"))
    editor.get_by_label("Title").fill(title)
    editor.get_by_label("Text").fill(text)
    editor.locator(".field-publish_at").get_by_text("Today", exact=True).click()
    editor.locator(".field-publish_at").get_by_text("Now", exact=True).click()
    save(editor)


def save(editor: Page) -> None:
    editor.get_by_role("button", name="Save", exact=True).click()
    editor.locator(".messagelist .success").wait_for()


def open_post(editor: Page, blog: Liveblog, title: str) -> None:
    editor.goto(blog.url("/admin/blog/post/"))
    editor.get_by_role("link", name=title, exact=True).click()


def post(page: Page, title: str) -> Locator:
    return page.locator(".post").filter(has=page.get_by_role("heading", name=title, exact=True))


def titles(page: Page) -> Locator:
    return page.locator(".post h2")


def test_a_reader_sees_what_an_editor_does(reader: Page, editor: Page, blog: Liveblog) -> None:
    expect(reader.get_by_text("Nothing has been posted yet.")).to_be_visible()
    add(editor, blog, "One", "Three short words")
    expect(post(reader, "One").locator(".length")).to_have_text("3 words · 1 min")
    add(editor, blog, "Two", "Word")
    expect(titles(reader)).to_have_text(["Two", "One"])
    expect(reader.locator("#news")).to_have_text("New: Two")

    open_post(editor, blog, "One")
    editor.get_by_label("Text").fill("Now\n\n<img src=x onerror=\"document.title='caught'\">")
    save(editor)
    paragraphs = post(reader, "One").locator("article p:not(.length)")
    expect(paragraphs).to_have_text(["Now", "<img src=x onerror=\"document.title='caught'\">"])
    expect(reader.locator("#news")).to_have_text("Changed: One")
    assert reader.title() == "Liveblog"

    open_post(editor, blog, "Two")
    editor.get_by_label("Title").fill("Hidden")
    editor.locator("#id_publish_at_0").fill("")
    editor.locator("#id_publish_at_1").fill("")
    save(editor)
    expect(titles(reader)).to_have_text(["One"])
    expect(reader.locator("#news")).to_have_text("Removed: Two")

    open_post(editor, blog, "One")
    editor.locator(".deletelink").click()
    editor.get_by_role("button", name=re.compile("sure")).click()
    expect(titles(reader)).to_have_count(0)
    expect(reader.get_by_text("Nothing has been posted yet.")).to_be_visible()


def test_a_page_catches_up_when_the_server_is_back(
    reader: Page, editor: Page, blog: Liveblog, server: Process
) -> None:
    for title in ("Kept", "Changed", "Removed"):
        add(editor, blog, title, "Text")
    expect(titles(reader)).to_have_text(["Removed", "Changed", "Kept"])
    server.terminate()
    expect(reader.locator("#state")).to_have_text("Offline")
    expect(titles(reader)).to_have_text(["Removed", "Changed", "Kept"])

    reader.context.set_offline(True)  # so that the page comes back after the editor
    blog.runserver()
    add(editor, blog, "Added", "Text")
    open_post(editor, blog, "Changed")
    editor.get_by_label("Text").fill("Something else")
    save(editor)
    open_post(editor, blog, "Removed")
    editor.locator(".deletelink").click()
    editor.get_by_role("button", name=re.compile("sure")).click()
    expect(titles(reader)).to_have_text(["Removed", "Changed", "Kept"])

    reader.context.set_offline(False)
    expect(reader.locator("#state")).to_have_text("Connected", timeout=20_000)
    expect(titles(reader)).to_have_text(["Added", "Changed", "Kept"])
    expect(post(reader, "Changed")).to_contain_text("Something else")


def test_a_phone_shows_everything_without_scrolling_sideways(
    reader: Page, editor: Page, blog: Liveblog
) -> None:
    add(editor, blog, "T" * 100, "x" * 300)
    expect(titles(reader)).to_have_count(1)
    assert reader.evaluate("document.documentElement.scrollWidth") == 390
    expect(reader.locator("#state")).to_be_in_viewport()
