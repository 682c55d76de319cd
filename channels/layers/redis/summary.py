"""What looks at the shards of a layer come to together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..names import statistics_name
from .commands import ALIVE_SECONDS, is_process

Record = dict[str, Any]


class Waiting(NamedTuple):
    """The messages of a queue, and the age of the oldest in seconds."""

    pending: int
    age: float


@dataclass
class Look:
    """What there is on one shard; with an ``error`` it is not known, or not entirely.

    ``counts`` are the sent and the refused messages of each counted name, ``owners`` those who
    may have members in each group, ``left`` the seconds until each process counts as dead whose
    home is here, ``wrong_keys`` what somebody else keeps where the layer would.
    """

    error: str | None = None
    now: float = 0
    totals: tuple[int, ...] = (0, 0)
    queues: dict[str, Waiting] = field(default_factory=dict)
    counts: dict[str, tuple[int, ...]] = field(default_factory=dict)
    owners: dict[str, list[str]] = field(default_factory=dict)
    left: dict[str, float] = field(default_factory=dict)
    wrong_keys: set[str] = field(default_factory=set)


def sum_up_channels(looks: Sequence[Look], capacity_of: Callable[[str], int]) -> list[Record]:
    """The channels, fullest and busiest first.

    Those of all processes are one record, and so are single-reader ones with the same beginning.
    """
    queues, counts = _queues_of_all(looks), _counts_of_all(looks)
    owners, counted = _grouped(queues, _shown_as), _grouped(counts, _shown_as)
    records = []
    for name in owners | counted:
        sent, refused = sums([(0, 0), *(counts[part] for part in counted.get(name, []))])
        record = {
            "name": name,
            **_sum_up(owners.get(name, []), queues, capacity_of),
            "capacity": min(map(capacity_of, owners.get(name) or counted[name])),
            "messages_count": sent,
            "channel_full_count": refused,
            "queues": len(owners.get(name, [])),
        }
        records.append(record)
    keys = ("queues_full", "messages_pending", "channel_full_count", "messages_count")
    return _sorted(records, keys)


def sum_up_processes(looks: Sequence[Look], capacity_of: Callable[[str], int]) -> list[Record]:
    """The processes, those for which most waits first."""
    queues = _queues_of_all(looks)
    left = {owner: seconds for look in looks for owner, seconds in look.left.items()}
    known = {*left, *filter(is_process, queues)}
    records = []
    for name, owners in _grouped(known, lambda owner: _process_in(owner)[1]).items():
        latest = max((left[owner] for owner in owners if owner in left), default=None)
        record = {
            "name": name,
            "alive": latest is not None and latest > 0,
            "last_seen": None if latest is None else round(max(ALIVE_SECONDS - latest, 0), 3),
            **_sum_up([owner for owner in owners if owner in queues], queues, capacity_of),
        }
        records.append(record)
    return _sorted(records, ("queues_full", "messages_pending"))


def sum_up_groups(looks: Sequence[Look], sockets: dict[tuple[str, str], int]) -> list[Record]:
    """The groups, largest first; ``sockets`` are the members of each process in each group."""
    records = []
    for look in looks:
        for group, owners in look.owners.items():
            sizes = [sockets.get((group, owner), 0) for owner in filter(is_process, owners)]
            others = sum(not is_process(owner) for owner in owners)
            processes = sum(size > 0 for size in sizes)
            if members := sum(sizes) + others:
                records.append({"name": group, "members": members, "processes": processes})
    return _sorted(records, ("members", "processes"))


def _queues_of_all(looks: Sequence[Look]) -> dict[str, Waiting]:
    """The queues, with those of normal channels put together out of their shards."""
    queues: dict[str, Waiting] = {}
    for look in looks:
        for owner, (pending, age) in look.queues.items():
            before = queues.get(owner, Waiting(0, 0))
            queues[owner] = Waiting(before.pending + pending, max(before.age, age))
    return queues


def _counts_of_all(looks: Sequence[Look]) -> dict[str, list[int]]:
    counts: dict[str, list[int]] = {}
    for look in looks:
        for name, numbers in look.counts.items():
            counts[name] = sums([counts.get(name, (0, 0)), numbers])
    return counts


def _grouped(names: Iterable[str], key: Callable[[str], str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(key(name), []).append(name)
    return groups


def _sum_up(
    owners: Sequence[str], queues: dict[str, Waiting], capacity_of: Callable[[str], int]
) -> Record:
    return {
        "messages_pending": sum(queues[owner].pending for owner in owners),
        "messages_max_age": max((queues[owner].age for owner in owners), default=0),
        "queues_full": sum(queues[owner].pending >= capacity_of(owner) for owner in owners),
    }


def _process_in(owner: str) -> tuple[str, str]:
    """What stands before the name of the process in the name of its queue, and the name."""
    start, dot, process = owner.removesuffix("!").rpartition(".")
    return start + dot, process


def _shown_as(owner: str) -> str:
    return f"{_process_in(owner)[0]}*!" if is_process(owner) else statistics_name(owner)


def _sorted(records: list[Record], keys: Sequence[str]) -> list[Record]:
    """The greatest first, by the first of ``keys`` in which they differ."""
    return sorted(records, key=lambda record: ([-record[key] for key in keys], record["name"]))


def integers(answer: Iterable[Any]) -> tuple[int, ...]:
    return tuple(int(number or 0) for number in answer)


def sums(answers: Iterable[Iterable[Any]]) -> list[int]:
    return [sum(numbers) for numbers in zip(*map(integers, answers), strict=True)]
