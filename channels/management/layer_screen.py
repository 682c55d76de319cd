"""The report about a channel layer as lines of text."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

Row = Sequence[str]

#: Spaces between two columns.
GAP = "  "

#: The units of ages, each up to twice the next one, so that nothing is told too roughly.
UNITS = (("s", 1), ("min", 60), ("h", 3600), ("d", 86400))


def age(seconds: float) -> str:
    """A time span for people, such as ``12 s`` or ``3 min``."""
    fitting = [(unit, size) for unit, size in UNITS if size == 1 or round(seconds) >= 2 * size]
    unit, size = fitting[-1]
    return f"{round(seconds) if size == 1 else int(seconds // size)} {unit}"


def waiting(messages: int) -> str:
    return "1 message waits" if messages == 1 else f"{messages:,} messages wait"


def table(header: Row, rows: Iterable[Row], width: int) -> list[list[str]]:
    """The lines of each row, with aligned columns, all but the first to the right.

    A name in the first column that is too long for ``width`` has a line of its own. Columns that
    are too many even so are left out, the last one first.
    """
    rows = [header, *rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    while len(widths) > 2 and _room(widths, width) < 0:
        widths.pop()
    room = _room(widths, width)
    widths[0] = max((len(row[0]) for row in rows if len(row[0]) <= room), default=0)
    return [list(_lines_of(row, widths)) for row in rows]


def _room(widths: Sequence[int], width: int) -> int:
    """What the columns leave for the first one."""
    return width - sum(len(GAP) + column for column in widths[1:])


def _lines_of(row: Row, widths: Sequence[int]) -> Iterator[str]:
    name, *figures = row
    if len(name) > widths[0]:
        yield name
        name = ""
    cells = [figure.rjust(width) for figure, width in zip(figures, widths[1:], strict=False)]
    yield GAP.join([name.ljust(widths[0]), *cells]).rstrip()


def fold(line: str, width: int) -> list[str]:
    """A line as a terminal of that width breaks it, if it is too long and has no style."""
    if len(line) <= width or "\x1b" in line:
        return [line]
    return [line[start : start + width] for start in range(0, len(line), width)]


class Screen:
    """Writes reports (see ``layer_report``) for people.

    Arguments: the ``style`` of the command, and the ``width`` to stay in, in characters. Only
    names may be longer, which have no style.
    """

    def __init__(self, style: Any, width: int) -> None:
        self._style = style
        self._width = width

    def lines(self, report: dict[str, Any]) -> list[str]:
        parts = [self._head(report), self._problems(report)]
        if "shards" in report:
            parts += [self._shards(report), self._wrap(_totals(report))]
            parts += [self._channels(report), self._groups(report), self._processes(report)]
        else:
            parts.append(self._statistics(report["statistics"]))
        return [line for part in parts if part for line in (*part, "")][:-1]

    def _head(self, report: dict[str, Any]) -> list[str]:
        where = f"{GAP}prefix {report['prefix']!r}" if "prefix" in report else ""
        return [
            *self._wrap(f"{report['layer']}: {report['backend']}", self._style.MIGRATE_HEADING),
            *self._wrap(f"{report['time']}{where}"),
        ]

    def _problems(self, report: dict[str, Any]) -> list[str]:
        if not report["problems"]:
            fine = self._wrap("Nothing looks wrong.", self._style.SUCCESS)
            return fine if "shards" in report else []
        found = [
            line
            for problem in report["problems"]
            for line in self._wrap(f"! {problem}", self._style.ERROR, indent="  ")
        ]
        return found + self._more(report, "problems")

    def _shards(self, report: dict[str, Any]) -> list[str]:
        servers = [shard["server"] or "server not found" for shard in report["shards"]]
        longest = max(map(len, servers))
        lines = []
        for server, shard in zip(servers, report["shards"], strict=True):
            state, style = (
                ("cannot be used", self._style.ERROR) if shard["error"] else ("answers", str)
            )
            lines += self._wrap(f"{server.ljust(longest)}{GAP}{state}", style)
        return lines

    def _channels(self, report: dict[str, Any]) -> list[str]:
        header = ["Channel", "waiting", "oldest", "capacity", "full", "sent"]
        rows = [
            [
                _with_queues(channel),
                f"{channel['messages_pending']:,}",
                age(channel["messages_max_age"]) if channel["messages_pending"] else "",
                f"{channel['capacity']:,}",
                f"{channel['channel_full_count']:,}",
                f"{channel['messages_count']:,}",
            ]
            for channel in report["channels"]
        ]
        if report["statistics"]["messages_per_second"] is not None:
            header.append("sent/s")
            rows = [
                [*row, _rate(channel)]
                for row, channel in zip(rows, report["channels"], strict=True)
            ]
        return self._list(report, "channels", header, rows)

    def _groups(self, report: dict[str, Any]) -> list[str]:
        rows = [
            [group["name"], f"{group['members']:,}", f"{group['processes']:,}"]
            for group in report["groups"]
        ]
        return self._list(report, "groups", ["Group", "members", "processes"], rows)

    def _processes(self, report: dict[str, Any]) -> list[str]:
        rows = [
            [
                process["name"],
                f"{process['messages_pending']:,}",
                age(process["messages_max_age"]) if process["messages_pending"] else "",
                _last_seen(process),
            ]
            for process in report["processes"]
        ]
        header = ["Interface process", "waiting", "oldest", "last seen"]
        return self._list(report, "processes", header, rows)

    def _list(
        self, report: dict[str, Any], name: str, header: list[str], rows: list[list[str]]
    ) -> list[str]:
        if not rows:
            return []
        heading, *lines = table(header, rows, self._width)
        return [
            *map(self._style.MIGRATE_HEADING, heading),
            *(line for row in lines for line in row),
            *self._more(report, name),
        ]

    def _more(self, report: dict[str, Any], name: str) -> list[str]:
        more = report["more"][name]
        return self._wrap(f"... and {more:,} more; --limit 0 shows all") if more else []

    def _statistics(self, statistics: dict[str, Any]) -> list[str]:
        if not statistics:
            return self._wrap("This layer tells nothing about itself.")
        rows = [[name, f"{number}"] for name, number in statistics.items() if number is not None]
        lines = self._wrap("This layer tells no more about itself than these figures:")
        return lines + [line for row in table(["", ""], rows, self._width)[1:] for line in row]

    def _wrap(self, text: str, style: Callable[[str], str] = str, indent: str = "") -> list[str]:
        """``text`` as lines with a style, all but the first one behind ``indent``."""
        lines = textwrap.wrap(text, self._width, subsequent_indent=indent, break_on_hyphens=False)
        return [style(line) for line in lines]


def _totals(report: dict[str, Any]) -> str:
    errors = [shard["error"] for shard in report["shards"]]
    if all(errors):
        return ""
    sums = _sums(report["statistics"])
    return f"As far as is known, {sums[0].lower()}{sums[1:]}" if any(errors) else sums


def _sums(statistics: dict[str, Any]) -> str:
    if not (statistics["messages_count"] or statistics["messages_pending"]):
        return "No messages were sent of late."
    rate = _rate(statistics)
    return (
        f"{waiting(statistics['messages_pending'])}; "
        f"{statistics['messages_count']:,} were sent of late{f' ({rate}/s now)' if rate else ''}, "
        f"{statistics['channel_full_count']:,} more met a full channel."
    )


def _with_queues(channel: dict[str, Any]) -> str:
    queues = channel["queues"]
    return f"{channel['name']} ({queues:,} queues)" if queues > 1 else str(channel["name"])


def _rate(record: dict[str, Any]) -> str:
    rate = record["messages_per_second"]
    return "" if rate is None else f"{rate:,.1f}"


def _last_seen(process: dict[str, Any]) -> str:
    if process["last_seen"] is None:
        return "gone"
    return f"{age(process['last_seen'])} ago" + ("" if process["alive"] else ", gone")
