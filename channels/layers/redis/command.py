"""One command for Redis, and how it is written."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

from .scripts import Script

Argument = str | bytes | int | float

try:
    pack_with_hiredis: Any = importlib.import_module("hiredis").pack_command
except ImportError:
    pack_with_hiredis = None

#: How an empty last argument is written.
EMPTY_ARGUMENT = b"$0\r\n\r\n"


class Command:
    """A command; ``blocking`` ones wait on the server. ``script`` is the one that it runs."""

    __slots__ = ("arguments", "blocking", "script", "template")

    def __init__(
        self,
        *arguments: Argument,
        blocking: bool = False,
        script: Script | None = None,
        template: Template | None = None,
    ) -> None:
        self.arguments = arguments
        self.blocking = blocking
        self.script = script
        self.template = template

    def __repr__(self) -> str:
        return f"<Command {self.script.name if self.script else self.arguments[0]!s}>"

    def by_text(self) -> Command:
        """The same for a server that does not know the script, which learns it this way."""
        assert self.script
        return Command("EVAL", self.script.text, *self.arguments[2:])


class Template:
    """A command that is said again and again, with another last argument each time.

    What comes before is written once: that takes longer than all else that a client does.
    """

    __slots__ = ("_start", "arguments", "blocking", "script")

    def __init__(self, command: Command) -> None:
        self.arguments = command.arguments[:-1]
        self.blocking = command.blocking
        self.script = command.script
        self._start: bytes | None = None

    def filled(self, last: bytes) -> Command:
        return Command(
            *self.arguments, last, blocking=self.blocking, script=self.script, template=self
        )

    def pack(self, connection: Any, last: bytes) -> bytes:
        start = self._start
        if start is None:
            start = pack_arguments(connection, (*self.arguments, b""))
            start = self._start = start.removesuffix(EMPTY_ARGUMENT)
        return b"%b$%d\r\n%b\r\n" % (start, len(last), last)


def pack(connection: Any, commands: Sequence[Command]) -> list[bytes]:
    """What to write to a connection of redis-py, for ``send_packed_command``."""
    return [b"".join([pack_one(connection, command) for command in commands])]


def pack_one(connection: Any, command: Command) -> bytes:
    arguments = command.arguments
    if command.template is None:
        return pack_arguments(connection, arguments)
    return command.template.pack(connection, arguments[-1])  # type: ignore[arg-type]


def pack_arguments(connection: Any, arguments: tuple[Argument, ...]) -> bytes:
    if pack_with_hiredis is None:
        return b"".join(connection.pack_command(*arguments))
    # redis-py would look at each argument before, and not use hiredis for asyncio.
    packed: bytes = pack_with_hiredis(arguments)
    return packed
