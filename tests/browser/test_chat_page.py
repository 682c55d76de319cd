"""The page of the chat, in a browser."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect

from tests.examples.processes import Site

from .conftest import Enter


def say(page: Page, text: str) -> None:
    page.get_by_label("Message", exact=True).fill(text)
    page.get_by_label("Message", exact=True).press("Enter")


def messages(page: Page) -> list[str]:
    return page.locator(".message:not(.pending) .said").all_text_contents()


def people(page: Page) -> Locator:
    return page.locator("#people bdi")


def test_two_tabs_talk_and_see_each_other_come_and_go(site: Site, enter: Enter) -> None:
    site.runserver()
    ada = enter("Ada")
    grace = enter("Grace", 390, 844)
    ada.get_by_text("Grace joined").wait_for()
    say(ada, "Good morning")
    grace.get_by_text("Good morning").wait_for()
    say(grace, "Hello")
    ada.get_by_text("Hello").wait_for()
    assert messages(ada) == messages(grace) == ["Good morning", "Hello"]
    for page in (ada, grace):
        expect(people(page)).to_have_text(["Ada", "Grace"])
    grace.close()
    ada.get_by_text("Grace left").wait_for()
    expect(people(ada)).to_have_text(["Ada"])


def test_what_people_write_is_shown_as_text(site: Site, enter: Enter) -> None:
    site.runserver()
    ada = enter("<i>Ada</i>")
    text = "<img src=x onerror=\"document.title='caught'\"> & &amp;"
    say(ada, text)
    ada.locator(".message:not(.pending)").wait_for()
    assert messages(ada) == [text]
    expect(people(ada)).to_have_text(["<i>Ada</i>"])
    assert ada.title() == "Lobby"


def test_a_page_comes_back_after_the_server_and_keeps_what_was_written(
    site: Site, enter: Enter
) -> None:
    server = site.runserver()
    ada, grace = enter("Ada"), enter("Grace")
    say(ada, "before")
    grace.get_by_text("before").wait_for()
    server.terminate()
    ada.locator("#state", has_text="Offline").wait_for()
    say(ada, "meanwhile")
    expect(ada.locator(".pending .said")).to_have_text("meanwhile")
    expect(ada.get_by_text("is kept until the connection is back")).to_be_visible()
    site.runserver()
    grace.get_by_text("meanwhile").wait_for()
    expect(ada.locator(".pending")).to_have_count(0)
    assert messages(ada) == messages(grace) == ["before", "meanwhile"]
    expect(people(ada)).to_have_text(["Ada", "Grace"])


def test_a_reload_keeps_the_name_and_shows_the_history_once(site: Site, enter: Enter) -> None:
    site.runserver()
    ada = enter("Ada")
    say(ada, "one")
    ada.locator(".message:not(.pending)").wait_for()
    ada.reload()
    ada.locator(".message").wait_for()
    assert messages(ada) == ["one"]
    expect(ada.locator(".message.mine")).to_have_count(1)
    expect(people(ada)).to_have_text(["Ada"])


def test_a_phone_shows_everything_without_scrolling_sideways(site: Site, enter: Enter) -> None:
    site.runserver()
    ada = enter("A" * 30, 390, 844)
    say(ada, "x" * 300)
    ada.locator(".message:not(.pending)").wait_for()
    assert ada.evaluate("document.documentElement.scrollWidth") == 390
    expect(ada.get_by_role("button", name="Send")).to_be_in_viewport()
    expect(ada.locator("#state")).to_be_in_viewport()
