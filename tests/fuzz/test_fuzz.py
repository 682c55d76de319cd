"""Whole projects under arbitrary messages, each in a process of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ports.test_ports import run_tests


@pytest.mark.parametrize(("project", "count"), [("chat", 4), ("dashboard", 3)])
def test_a_project_lives_through_arbitrary_messages(
    tmp_path: Path, project: str, count: int
) -> None:
    label = f"tests.fuzz.{project}_cases"
    assert run_tests(tmp_path, project, label, PORT_DATABASE=":memory:") == count
