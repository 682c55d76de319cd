"""The Lua scripts of the package."""

from __future__ import annotations

import hashlib
from importlib import resources


class Script:
    """One Lua script of the package, behind what all scripts share and the parts that it needs."""

    def __init__(self, name: str, *parts: str) -> None:
        self.name = name
        package = resources.files(__package__)
        files = [package / f"{part}.lua" for part in ("common", *parts, name)]
        self.text = "\n".join(file.read_text("utf-8") for file in files)
        self.digest = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()

    def __repr__(self) -> str:
        return f"<Script {self.name}>"


SEND = Script("send", "queues")
PUSH = Script("push", "queues", "memberships")
RECEIVE = Script("receive", "queues")
DRAIN = Script("drain")
RETURN = Script("return", "queues")
JOIN = Script("join", "memberships")
LEAVE = Script("leave", "memberships")
ENLIST = Script("enlist")
STRIKE = Script("strike")
MEMBERS = Script("members", "queues", "memberships")
PROLONG = Script("prolong", "memberships")
RESTORE = Script("restore")
SNAPSHOT = Script("snapshot", "memberships")
ANNOUNCE = Script("announce", "memberships")
BURY = Script("bury")
MARK_FLUSH = Script("mark_flush")
WAITING = Script("waiting", "queues")
