from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.examples.processes import Site, running_site

NAMES = ("chromium", "chromium-browser", "google-chrome")

ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

Enter = Callable[..., Page]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.fail(
            f"These tests need Chromium, and none of {', '.join(NAMES)} is on the PATH: install "
            "it (Debian: apt-get install chromium), or leave tests/browser out.",
            pytrace=False,
        )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The chat; the test starts its server."""
    with running_site(tmp_path_factory.mktemp("chat") / "chat.sqlite3") as site:
        yield site


@pytest.fixture
def enter(browser: Browser, site: Site) -> Iterator[Enter]:
    """Opens the lobby for somebody: ``enter(name)``, in a browser session of their own."""
    contexts = []
    errors: list[object] = []

    def enter(name: str, width: int = 1280, height: int = 800) -> Page:
        context = browser.new_context(viewport={"width": width, "height": height})
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(error))
        page.goto(site.url("/rooms/lobby/"))
        page.get_by_label("Your name").fill(name)
        page.get_by_role("button", name="Enter").click()
        page.locator("#state", has_text="Connected").wait_for()
        return page

    yield enter
    for context in contexts:
        context.close()
    assert errors == []
