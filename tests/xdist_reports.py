"""A plugin for pytest-xdist (``-p tests.xdist_reports``): reports of tests that logged half of a
surrogate pair, such as a path that is not UTF-8. xdist sends reports as UTF-8, which has none."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, dict[str, Any], dict[str, Any]]:
    data = yield
    if data and "sections" in data:
        data["sections"] = [(name, _printable(text)) for name, text in data["sections"]]
    return data


def _printable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
