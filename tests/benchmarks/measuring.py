"""Rounds that take turns, and tables of what they showed.

The machine is never quiet, so that a figure alone says little: all sides of a comparison run
again and again, one after the other, and are compared within each round.
"""

from __future__ import annotations

import gc
import importlib.metadata
import importlib.util
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import redis


@dataclass(frozen=True)
class Side:
    """One way to do something; ``measure`` gives the seconds that it takes."""

    name: str
    measure: Callable[[], float]


@dataclass(frozen=True)
class Ratio:
    """``over`` divided by ``under`` (names of sides), and the bound that is our goal."""

    what: str
    over: str
    under: str
    at_least: float | None = None
    at_most: float | None = None

    def goal(self) -> str:
        if self.at_least is not None:
            return f"goal >= {self.at_least:g}"
        return f"goal <= {self.at_most:g}" if self.at_most is not None else ""

    def verdict(self, value: float) -> str:
        if self.at_least is None and self.at_most is None:
            return ""
        low = self.at_least is None or value >= self.at_least
        high = self.at_most is None or value <= self.at_most
        return "met" if low and high else "MISSED"


Figures = dict[str, list[float]]


def seconds_of(action: Callable[[], object]) -> float:
    """How long ``action`` takes, without what the collector of garbage would add by chance."""
    gc.disable()
    try:
        started = time.perf_counter()
        action()
        return time.perf_counter() - started
    finally:
        gc.enable()


def seconds_each(action: Callable[[], object], count: int) -> float:
    """How long one of ``count`` calls of ``action`` in a row takes."""

    def repeat() -> None:
        for _ in range(count):
            action()

    return seconds_of(repeat) / count


def take_turns(sides: Sequence[Side], rounds: int) -> Figures:
    """What each side measured in each round; a first round, which warms up, is left out."""
    figures: Figures = {side.name: [] for side in sides}
    for number in range(rounds + 1):
        for side in sides:
            value = side.measure()
            if number:
                figures[side.name].append(value)
    return figures


def show(title: str, figures: Figures, ratios: Iterable[Ratio], unit: str = "us") -> None:
    """Print a table: minimum, median and maximum of each side, and of each ratio.

    The ratio of the minima is what the machine shows when it has nothing else to do.
    """
    factor = {"us": 1e6, "ms": 1e3, "s": 1.0}[unit]
    print(f"\n{title}")
    print(f"  {'':40} {'min':>9} {'median':>9} {'max':>9} {'of minima':>10}")
    for name, values in figures.items():
        print(f"  {name + ', ' + unit:40} {_spread([value * factor for value in values])}")
    for ratio in ratios:
        overs, unders = figures[ratio.over], figures[ratio.under]
        values = [over / under for over, under in zip(overs, unders, strict=True)]
        of_minima = f"{min(overs) / min(unders):10.2f}"
        verdict = ratio.verdict(statistics.median(values))
        line = f"{ratio.what:40} {_spread(values)} {of_minima}  {ratio.goal():14} {verdict}"
        print(f"  {line}".rstrip())


def show_surroundings(redis_url: str) -> None:
    """Print what the figures depend on."""
    with redis.Redis.from_url(redis_url) as client:
        server = client.info("server")["redis_version"]
    hiredis = importlib.util.find_spec("hiredis")
    parser = f"hiredis {importlib.metadata.version('hiredis')}" if hiredis else "no hiredis"
    print(
        f"Python {platform.python_version()}, redis-py {redis.__version__}, {parser}, "
        f"Redis {server}, {os.cpu_count()} cores"
    )
    show_load()


def show_load() -> None:
    """Print how busy the machine is, with others' work as well."""
    print("load of the machine: " + ", ".join(f"{load:.2f}" for load in os.getloadavg()))


def _spread(values: Sequence[float]) -> str:
    shown = (min(values), statistics.median(values), max(values))
    return " ".join(f"{value:9.2f}" for value in shown)
