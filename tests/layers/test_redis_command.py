"""How commands are written."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from channels.layers.redis import command as command_module
from channels.layers.redis.command import Command, Template, pack


@pytest.fixture(params=["hiredis", "redis-py"])
def connection(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A connection of redis-py, with commands written by hiredis (if it is there) or by itself."""
    if request.param == "redis-py":
        monkeypatch.setattr(command_module, "pack_with_hiredis", None)
    return redis.Connection()


@pytest.mark.parametrize("last", [b"", b"x", b"\r\n$0\r\n\r\n", b"y" * 10_000])
def test_a_template_is_written_like_what_it_makes(connection: Any, last: bytes) -> None:
    template = Template(Command("RPUSH", "key", 1, 2.5, b"", b"an example"))
    expected = b"".join(connection.pack_command("RPUSH", "key", 1, 2.5, b"", last))
    for _ in range(2):
        made = template.filled(last)
        assert made.arguments == ("RPUSH", "key", 1, 2.5, b"", last)
        assert b"".join(pack(connection, [made])) == expected


def test_commands_are_written_one_behind_the_other(connection: Any) -> None:
    commands = [Command("PING"), Command("ECHO", "ä")]
    expected = b"*1\r\n$4\r\nPING\r\n*2\r\n$4\r\nECHO\r\n$2\r\n\xc3\xa4\r\n"
    assert b"".join(pack(connection, commands)) == expected
