"""Where the tools are found."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import channels.test

ROOT = Path(__file__).parents[2]

PUBLIC = [
    "ChannelTestCase",
    "TransactionChannelTestCase",
    "Client",
    "WSClient",
    "HttpClient",
    "apply_routes",
    "ChannelLiveServerTestCase",
]

MODULES = {
    "base": [
        "ChannelTestCase",
        "ChannelTestCaseMixin",
        "Client",
        "TransactionChannelTestCase",
        "apply_routes",
    ],
    "http": ["HttpClient"],
    "websocket": ["WSClient"],
    "liveserver": ["ChannelLiveServerTestCase", "ProtocolServerProcess", "WorkerProcess"],
}


def import_afresh(name: str) -> object:
    for loaded in [
        module for module in sys.modules if module.split(".")[:2] == ["channels", "tests"]
    ]:
        del sys.modules[loaded]
    return importlib.import_module(name)


def test_the_public_names() -> None:
    assert sorted(channels.test.__all__) == sorted(PUBLIC)


def test_the_old_package_warns_and_has_the_same_names() -> None:
    with pytest.warns(DeprecationWarning, match=r"channels\.tests is now channels\.test") as seen:
        old = import_afresh("channels.tests")
    assert len(seen) == 1
    for name in PUBLIC:
        assert getattr(old, name) is getattr(channels.test, name)


@pytest.mark.parametrize("module", MODULES)
def test_the_old_modules_warn_and_have_the_same_names(module: str) -> None:
    with pytest.warns(DeprecationWarning, match=r"channels\.tests is now channels\.test"):
        old = import_afresh(f"channels.tests.{module}")
    new = importlib.import_module(f"channels.test.{module}")
    for name in MODULES[module]:
        assert getattr(old, name) is getattr(new, name)


def test_the_tools_need_neither_settings_nor_an_asgi_server() -> None:
    code = "import sys, channels.test; print('uvicorn' in sys.modules, 'redis' in sys.modules)"
    environment = {"PYTHONPATH": str(ROOT)}
    output = subprocess.check_output([sys.executable, "-c", code], env=environment, text=True)
    assert output == "False False\n"
