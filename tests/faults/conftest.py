from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest

from ..redis_server import RedisServer
from .running import Site

MakeSite = Callable[[], Site]


@pytest.fixture(scope="module")
def make_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeSite]:
    """Makes a site without processes, on a Redis of its own."""
    with contextlib.ExitStack() as stack:

        def make() -> Site:
            redis = stack.enter_context(RedisServer())
            return Site(tmp_path_factory.mktemp("site"), redis, stack)

        yield make
