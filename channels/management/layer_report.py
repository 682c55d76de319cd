"""What an operator is told about a channel layer: its figures, and what looks wrong in them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from channels.asgi import ChannelLayerWrapper
from channels.utils import name_that_thing

from .layer_screen import age, waiting

#: Seconds that a message may wait before that looks wrong: readers take them at once.
OLD_SECONDS = 10

#: What may be so long that only the first of it is told.
LISTS = ("problems", "channels", "groups", "processes", "wrong_keys")

#: Keys that a sentence names.
KEYS_NAMED = 3

Report = dict[str, Any]


def make_report(layer: ChannelLayerWrapper) -> Report:
    """What ``layer`` tells: all of ``describe()``, or else its statistics, or nothing."""
    if hasattr(layer, "describe"):
        figures = layer.describe()
    elif "statistics" in getattr(layer, "extensions", ()):
        figures = {"statistics": layer.global_statistics()}
    else:
        figures = {"statistics": {}}
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "layer": layer.alias,
        "backend": name_that_thing(type(layer.channel_layer)),
        "problems": find_problems(figures),
        **figures,
    }


def shorten(report: Report, limit: int) -> None:
    """Leave the first ``limit`` of each list (0: all), and note how many ``more`` there are."""
    report["more"] = {}
    for name in LISTS:
        found = report.get(name, [])
        kept = found[: limit or None]
        report["more"][name] = len(found) - len(kept)
        if name in report:
            report[name] = kept


def find_silent(figures: Report) -> list[str]:
    """Which shards cannot be used, and why: sentences, one for each reason."""
    shards = figures.get("shards", [])
    silent: dict[str, list[str]] = {}
    for number, shard in enumerate(shards, start=1):
        if shard["error"]:
            silent.setdefault(shard["error"], []).append(str(number))
    return [
        f"{_shards(numbers, len(shards))} nothing: {error}" for error, numbers in silent.items()
    ]


def _shards(numbers: Sequence[str], total: int) -> str:
    if len(numbers) == total:
        return "The layer tells"
    if len(numbers) == 1:
        return f"Shard {numbers[0]} of {total} tells"
    return f"Shards {', '.join(numbers)} of {total} tell"


class Rates:
    """Messages per second, by what was counted at the last look."""

    def __init__(self) -> None:
        self._at = 0.0
        self._counts: dict[str | None, int] = {}
        self._answering: list[bool] = []

    def add_to(self, report: Report, at: float) -> None:
        """Put ``messages_per_second`` into ``report``, whose figures are of that time (seconds).

        It is ``None`` where it is not known: the first time, after a count began anew, and when
        other shards answer than before.
        """
        answering = [not shard["error"] for shard in report.get("shards", [])]
        if answering != self._answering:
            self._answering, self._counts = answering, {}
        channels = {channel["name"]: channel for channel in report.get("channels", [])}
        counted = {
            name: record
            for name, record in {None: report["statistics"], **channels}.items()
            if "messages_count" in record
        }
        for name, record in counted.items():
            sent = record["messages_count"] - self._counts.get(name, math.inf)
            record["messages_per_second"] = sent / (at - self._at) if sent >= 0 else None
        self._counts = {name: record["messages_count"] for name, record in counted.items()}
        self._at = at


def find_problems(figures: Report) -> list[str]:
    """What looks wrong, as sentences, the worst first."""
    return [
        *find_silent(figures),
        *_wrong_keys(figures),
        *_stuck_channels(figures),
        *_stuck_processes(figures),
    ]


def _wrong_keys(figures: Report) -> Iterator[str]:
    found = figures.get("wrong_keys", [])
    names = [f"{key['key']!r} at {key['server']}" for key in found[:KEYS_NAMED]]
    if len(found) == 1:
        yield (
            f"The key {names[0]} holds something that is not of this layer, which fails there. "
            "Delete it, and let nobody else use this prefix."
        )
    elif found:
        more = f", and {len(found) - KEYS_NAMED:,} more" if len(found) > KEYS_NAMED else ""
        yield (
            f"{len(found):,} keys hold something that is not of this layer, which fails there: "
            f"{', '.join(names)}{more}. Delete them, and let nobody else use this prefix."
        )


def _stuck_channels(figures: Report) -> Iterator[str]:
    """Of process-specific channels, their processes tell more."""
    for channel in figures.get("channels", []):
        name, pending = channel["name"], channel["messages_pending"]
        if name.endswith("!"):
            continue
        if channel["queues_full"] and name.endswith("?"):
            yield (
                f"{name} has {channel['queues_full']:,} full channels of {channel['queues']:,}. "
                "Readers do not keep up, or are gone."
            )
        elif channel["queues_full"]:
            yield (
                f"{name} is full: {waiting(pending)}, which is its capacity. Workers do "
                "not keep up, or there is none."
            )
        elif channel["messages_max_age"] >= OLD_SECONDS:
            waited, limit = age(channel["messages_max_age"]), age(figures["expiry"])
            readers = "Readers" if name.endswith("?") else "Workers"
            yield (
                f"{name}: the oldest message has waited {waited}, of {limit} that it may. "
                f"{readers} do not keep up, or there is none."
            )


def _stuck_processes(figures: Report) -> Iterator[str]:
    for process in figures.get("processes", []):
        name, seen = process["name"], process["last_seen"]
        waited, pending = process["messages_max_age"], waiting(process["messages_pending"])
        if process["queues_full"]:
            yield f"A queue of process {name} is full, so that its connections miss messages."
        elif waited < OLD_SECONDS:
            continue
        elif not process["alive"]:
            yield f"{pending} for process {name}, which is gone: they will be dropped."
        elif seen >= OLD_SECONDS:
            yield (
                f"{pending} for process {name}, which was last seen {age(seen)} ago: it has "
                "ended, or hangs."
            )
        else:
            yield f"Process {name} lives, but has left messages unread for {age(waited)}."
