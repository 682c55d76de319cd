from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.redis_server import RedisServer

from .processes import Site, running_site


@pytest.fixture(scope="module")
def quiet_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One chat in memory for all tests that leave nothing behind."""
    with running_site(tmp_path_factory.mktemp("quiet") / "chat.sqlite3") as site:
        site.runserver()
        yield site


@pytest.fixture
def workers_site(tmp_path: Path) -> Iterator[Site]:
    """The chat on a Redis of its own, with an interface server and no worker yet."""
    with RedisServer() as redis, running_site(tmp_path / "chat.sqlite3", redis.url) as site:
        site.uvicorn()
        yield site


@pytest.fixture(params=["in memory", "on Redis"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """The chat ready to use: with runserver, or with uvicorn and two workers."""
    if request.param == "in memory":
        with running_site(tmp_path / "chat.sqlite3") as site:
            site.runserver()
            yield site
    else:
        site = request.getfixturevalue("workers_site")
        site.runworker()
        site.runworker()
        yield site
