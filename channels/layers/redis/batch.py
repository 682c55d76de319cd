"""Several messages on their way to the shards of their owners."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ...exceptions import ChannelLayerUnavailable
from .runs import GONE, SENT, Run
from .shards import Shards
from .steps import Request

#: Messages, and bytes of their bodies, that are pushed by one script call at the most: other
#: clients of the server are to get their turn in between.
PUSHES_AT_ONCE = 500
BYTES_AT_ONCE = 4 * 1024 * 1024


class Refused(NamedTuple):
    """A message that surely was not queued, as there were ``depth`` others, or for a failure."""

    number: int
    channel: str
    body: bytes
    depth: int | None


class Batch:
    """Messages on their way, in rounds of bounded size; their numbers are from 0 on.

    Each owner gets its messages in the order in which they were added.
    """

    def __init__(self, shards: Shards, size: int) -> None:
        #: For each message what went wrong, but for full queues.
        self.outcomes: list[Exception | None] = [None] * size
        #: Groups and owners that have no member there.
        self.gone: list[tuple[str, str]] = []
        #: The scores of owners at groups.
        self.scores: dict[tuple[str, str], bytes] = {}
        self.refused: list[Refused] = []
        self._shards = shards
        self._waiting: dict[int, list[Run]] = {}
        self._open_runs: dict[tuple[int, str], Run] = {}
        #: The shard and the runs that each request of the last round is about.
        self.said: list[tuple[int, list[Run]]] = []
        self._full: dict[tuple[int, str], int] = {}
        self._reached: set[int] = set()

    def run_to(self, shard: int, owner: str, limit: int, group: str = "") -> Run:
        """Where the next message to ``owner`` is to be added, with its number."""
        run = self._open_runs.get((shard, owner))
        if run is None or run.group != group:
            run = self._open_runs[shard, owner] = Run(owner, limit, group)
            self._waiting.setdefault(shard, []).append(run)
        return run

    def has_more(self) -> bool:
        """Whether there may be another round."""
        return bool(self._waiting)

    def next_round(self) -> list[Request]:
        """What to say next: nothing at the end."""
        self._open_runs, self.said = {}, []
        while self._waiting:
            requests = []
            for shard, waiting in self._waiting.items():
                part, self._waiting[shard] = _divided(waiting)
                if part := self._refuse_behind_full(shard, part):
                    requests.append(Request(shard, self._shards[shard].commands.push(part)))
                    self.said.append((shard, part))
            self._waiting = {shard: runs for shard, runs in self._waiting.items() if runs}
            if requests:
                return requests
        return []

    def note(self, answers: Sequence[Any]) -> None:
        """Take over the answers to what ``next_round`` gave."""
        for (shard, part), answer in zip(self.said, answers, strict=True):
            self.note_part(shard, part, answer)

    def note_part(self, shard: int, part: Sequence[Run], answer: Any) -> None:
        """Take over the answer to the push of some runs."""
        if isinstance(answer, Exception):
            for run in part:
                self._note_failure(run, answer)
            return
        if isinstance(answer, int):  # that of a single message
            answer = [] if answer == SENT else [1, 0, answer]
        troubles = iter(answer)
        states = {
            number: (taken, state) for number, taken, state in zip(*[troubles] * 3, strict=True)
        }
        for number, run in enumerate(part, start=1):
            taken, state = states.get(number, (len(run.numbers), None))
            if run.group:
                self._reached.update(run.numbers[:taken])
            if state == GONE:
                self.gone.append((run.group, run.owner))
            elif state is not None:
                self._full[shard, run.owner] = state
                self._note_refusal(run, taken, state)

    def final_outcomes(self) -> list[Exception | None]:
        """A group's message whose sending failed may have arrived at some of its members."""
        for number in self._reached:
            outcome = self.outcomes[number]
            if isinstance(outcome, ChannelLayerUnavailable):
                self.outcomes[number] = _reaching_some(outcome)
        return self.outcomes

    def _refuse_behind_full(self, shard: int, part: list[Run]) -> list[Run]:
        """What is left without what goes to queues that were full a round ago, for the order."""
        left = []
        for run in part:
            depth = self._full.get((shard, run.owner))
            if depth is None:
                left.append(run)
            else:
                self._note_refusal(run, 0, depth)
        return left

    def _note_failure(self, run: Run, error: Exception) -> None:
        for number in run.numbers:
            self.outcomes[number] = self.outcomes[number] or error
        if not getattr(error, "may_have_arrived", False):
            self._note_refusal(run, 0, None)

    def _note_refusal(self, run: Run, taken: int, depth: int | None) -> None:
        if run.group:
            return  # a member whose channel is full misses the message
        for number, entry in zip(run.numbers[taken:], run.bodies[taken:], strict=True):
            target, _, body = entry.partition(b"\n")
            self.refused.append(Refused(number, run.owner + target.decode(), body, depth))


def _reaching_some(error: ChannelLayerUnavailable) -> ChannelLayerUnavailable:
    if error.may_have_arrived:
        return error
    partial = ChannelLayerUnavailable(
        f"Some members of the group got the message, but not all. {error}", may_have_arrived=True
    )
    partial.__cause__ = error
    return partial


def _fits(runs: Sequence[Run]) -> bool:
    """Whether all of it can be said at once."""
    size = sum(len(run.bodies) for run in runs)
    if size == 1:
        return True
    return size <= PUSHES_AT_ONCE and sum(sum(map(len, r.bodies)) for r in runs) <= BYTES_AT_ONCE


def _divided(runs: list[Run]) -> tuple[list[Run], list[Run]]:
    """What is said at once, at least one message, and the rest."""
    if _fits(runs):
        return runs, []
    messages = size = 0
    for at, index, body in _bodies(runs):
        messages, size = messages + 1, size + len(body)
        if messages > 1 and (messages > PUSHES_AT_ONCE or size > BYTES_AT_ONCE):
            run = runs[at]
            begun = [run.part(0, index)] if index else []
            return runs[:at] + begun, [run.part(index), *runs[at + 1 :]]
    return runs, []


def _bodies(runs: Sequence[Run]) -> Iterator[tuple[int, int, bytes]]:
    for at, run in enumerate(runs):
        for index, body in enumerate(run.bodies):
            yield at, index, body
