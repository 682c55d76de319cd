"""Messages that go to one queue in a row, and what becomes of them."""

from __future__ import annotations

#: What a send came to, or a run from some message on, where it is not the depth of a full queue.
SENT, GONE = -1, -2


class Run:
    """Messages in a row to the queue of ``owner``, which takes so many of them as ``limit`` says.

    With ``group``, they are for the members of that group there. ``bodies`` are encoded messages,
    without a group each behind its target (see ``common.lua``) and a newline.
    """

    __slots__ = ("bodies", "group", "limit", "numbers", "owner")

    def __init__(self, owner: str, limit: int, group: str = "") -> None:
        self.owner = owner
        self.limit = limit
        self.group = group
        self.bodies: list[bytes] = []
        #: Which messages these are, to those who sent them.
        self.numbers: list[int] = []

    def __repr__(self) -> str:
        return f"<Run of {len(self.bodies)} to {self.owner} {self.group}>"

    def add(self, number: int, body: bytes) -> None:
        self.numbers.append(number)
        self.bodies.append(body)

    def part(self, start: int, end: int | None = None) -> Run:
        """Some of the messages."""
        part = Run(self.owner, self.limit, self.group)
        part.numbers, part.bodies = self.numbers[start:end], self.bodies[start:end]
        return part
