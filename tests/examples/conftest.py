from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.redis_server import RedisServer

from .processes import Site, running_site


@pytest.fixture
def workers_site(tmp_path: Path) -> Iterator[Site]:
    """The chat on a Redis of its own, with an interface server and no worker yet."""
    with RedisServer() as redis, running_site(tmp_path / "chat.sqlite3", redis.url) as site:
        site.uvicorn()
        yield site


@pytest.fixture(scope="module", params=["in memory", "on Redis"])
def shared_site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """The chat ready to use: with runserver, or with uvicorn and two workers."""
    database = tmp_path_factory.mktemp("chat") / "chat.sqlite3"
    if request.param == "in memory":
        with running_site(database) as site:
            site.runserver()
            yield site
    else:
        with RedisServer() as redis, running_site(database, redis.url) as site:
            site.uvicorn()
            site.runworker()
            site.runworker()
            yield site


@pytest.fixture
def site(shared_site: Site) -> Site:
    """The same, with a room for this test alone."""
    shared_site.open_room()
    return shared_site
