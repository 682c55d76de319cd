"""Names of channels and groups: what they may be, and what they say."""

from __future__ import annotations

import functools
import re
import secrets
import string
from typing import NoReturn

#: A name is shorter than this, in characters.
NAME_LIMIT = 100

#: Characters in the random part of a name that ``new_channel`` makes: 62 ** 12 possibilities.
RANDOM_LENGTH = 12

RANDOM_ALPHABET = string.ascii_letters + string.digits
CHANNEL_NAME = re.compile(r"[A-Za-z0-9\-_.]+([?!][A-Za-z0-9\-_.]+)?")
RECEIVE_NAME = re.compile(r"[A-Za-z0-9\-_.]+(\?[A-Za-z0-9\-_.]+|!)?")
GROUP_NAME = re.compile(r"[A-Za-z0-9\-_.]+")
LETTERS = "ASCII letters, digits, '-', '_' and '.'"
CHANNEL_RULE = f"{LETTERS}, with at most one '?' or '!' that more characters follow"
RECEIVE_RULE = f"{LETTERS}, with at most one '?' that more characters follow, or '!' at the end"


def queue_of(channel: str) -> str:
    """The queue that ``channel`` is read from: process-specific channels share their process's."""
    process, mark, _ = channel.partition("!")
    return process + mark


def statistics_name(channel: str) -> str:
    """What ``channel`` is counted under: its process, or its single-reader name up to ``?``."""
    name, mark, _ = channel.partition("?")
    return queue_of(name + mark)


def random_name() -> str:
    """An unused name for a process, a socket or a single-reader channel."""
    return "".join(secrets.choice(RANDOM_ALPHABET) for _ in range(RANDOM_LENGTH))


def check_channel(name: str) -> None:
    """Raise ``TypeError`` unless a message can be sent to ``name``."""
    if not (isinstance(name, str) and _is_channel(name)):
        _refuse_name(name, CHANNEL_NAME, "channel", CHANNEL_RULE)


def check_receive_channel(name: str) -> None:
    """Raise ``TypeError`` unless messages can be received from ``name``."""
    if isinstance(name, str) and _can_be_received(name):
        return
    if isinstance(name, str) and _is_channel(name) and "!" in name:
        raise TypeError(
            f"{name!r} cannot be received from by itself: a process receives all its "
            f"process-specific channels at once, under {queue_of(name)!r}."
        )
    _refuse_name(name, RECEIVE_NAME, "channel", RECEIVE_RULE)


def check_group(name: str) -> None:
    """Raise ``TypeError`` unless ``name`` can be a group's name."""
    if not (isinstance(name, str) and _is_group(name)):
        _refuse_name(name, GROUP_NAME, "group", LETTERS)


# Remembered, as the same names come again, at least when what was held goes out.


@functools.lru_cache(maxsize=4096)
def _is_channel(name: str) -> bool:
    return len(name) < NAME_LIMIT and CHANNEL_NAME.fullmatch(name) is not None


@functools.lru_cache(maxsize=4096)
def _is_group(name: str) -> bool:
    return len(name) < NAME_LIMIT and GROUP_NAME.fullmatch(name) is not None


@functools.lru_cache(maxsize=1024)
def _can_be_received(name: str) -> bool:
    return len(name) < NAME_LIMIT and RECEIVE_NAME.fullmatch(name) is not None


def _refuse_name(name: object, rule: re.Pattern[str], kind: str, allowed: str) -> NoReturn:
    if not isinstance(name, str):
        raise TypeError(f"A {kind} name must be text, not {type(name).__name__}: {name!r}.")
    raise TypeError(
        f"{name!r} is not a {kind} name: a {kind} name has fewer than {NAME_LIMIT} characters "
        f"(this one has {len(name)}) and consists of {allowed}{_offender(name, rule)}."
    )


def _offender(name: str, rule: re.Pattern[str]) -> str:
    """Which character breaks the rule, as the end of a sentence."""
    if rule.fullmatch(name):
        return ""
    if not name:
        return "; this one is empty"
    found = rule.match(name)
    position = found.end() if found else 0
    return f"; {name[position]!r} at position {position} breaks this"
