from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.sessions.backends import file as file_engine

from channels import channel_layers
from channels.asgi import ChannelLayerWrapper
from channels.layers import InMemoryChannelLayer
from channels.sessions.store import _channel_session_class


@pytest.fixture
def layer() -> Iterator[ChannelLayerWrapper]:
    """A fresh default layer with no routes."""
    wrapper = ChannelLayerWrapper(InMemoryChannelLayer(), "default", [])
    channel_layers.set("default", wrapper)
    yield wrapper
    channel_layers.set("default", None)


@pytest.fixture
def file_sessions(settings: Any, tmp_path: Path) -> Iterator[None]:
    """Sessions in files: they need no database and all threads see them."""
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.file"
    settings.SESSION_FILE_PATH = str(tmp_path)
    _forget_path()
    yield
    _forget_path()


@pytest.fixture(params=["db", "cache", "cached_db", "file"])
def engine(request: pytest.FixtureRequest, settings: Any) -> str:
    """Each engine of Django's that stores on the server, one after the other."""
    if request.param == "file":
        request.getfixturevalue("file_sessions")
    else:
        request.getfixturevalue("db")
        settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{request.param}"
        settings.CACHES = {
            "default": {
                "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
                "LOCATION": request.node.name,
            }
        }
    return str(request.param)


def _forget_path() -> None:
    _channel_session_class.cache_clear()
    if "_storage_path" in vars(file_engine.SessionStore):
        del file_engine.SessionStore._storage_path
