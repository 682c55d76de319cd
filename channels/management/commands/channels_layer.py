from __future__ import annotations

import json
import math
import os
import shutil
import sys
import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from channels.asgi import ChannelLayerWrapper
from channels.exceptions import ChannelLayerUnavailable
from channels.management.layer_report import Rates, find_silent, make_report, shorten
from channels.management.layer_screen import Screen, fold
from channels.management.layers import add_layer_argument, configured_layer

#: Seconds between two looks of --watch.
WATCH_SECONDS = 2.0

#: Lines of each list that are shown.
LIMIT = 20

#: Where output goes that is no terminal: characters in a line.
WIDTH = 80

#: The exit code of a program whose output nobody reads any more, as the shell tells it.
OUTPUT_CLOSED = 128 + 13

# What terminals understand: go to the upper left, clear the rest of the line, of the screen.
HOME, CLEAR_LINE, CLEAR_BELOW = "\x1b[H", "\x1b[K", "\x1b[J"


class Command(BaseCommand):
    help = "Shows what a channel layer holds and what looks wrong there, or empties it."
    leave_locale_alone = True
    # It is for when something is broken, and needs nothing of the rest of the project.
    requires_system_checks: list[str] = []  # noqa: RUF012

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_layer_argument(parser)
        parser.add_argument(
            "--limit",
            type=int,
            default=LIMIT,
            help=f"How many channels, groups and processes to show ({LIMIT}); 0 for all.",
        )
        parser.add_argument(
            "--watch",
            nargs="?",
            type=float,
            const=WATCH_SECONDS,
            metavar="SECONDS",
            help=f"Look again every so many seconds ({WATCH_SECONDS:g}), until Ctrl-C.",
        )
        parser.add_argument(
            "--json", action="store_true", help="Write JSON: one document in a line per look."
        )
        parser.add_argument(
            "--flush",
            action="store_true",
            help="Empty the layer, after a question: messages, groups and statistics.",
        )
        parser.add_argument(
            "--noinput",
            "--no-input",
            action="store_false",
            dest="interactive",
            help="Ask nothing before --flush.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        _check(options)
        layer = _visible_layer(options["layer"])
        try:
            if options["flush"]:
                self._flush(layer, options["interactive"])
            elif options["watch"] is None:
                self._look(layer, options, Rates())
            else:
                self._watch(layer, options)
            self.stdout.flush()
        except ChannelLayerUnavailable as error:
            raise CommandError(str(error)) from error
        except BrokenPipeError:
            # The reader has had enough, such as "head". Nor must Python try to write at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.stdout.fileno())
            sys.exit(OUTPUT_CLOSED)

    def _look(self, layer: ChannelLayerWrapper, options: dict[str, Any], rates: Rates) -> None:
        report = self._show(layer, options, rates)
        errors = [shard["error"] for shard in report.get("shards", [])]
        if silent := sum(map(bool, errors)):
            what = "The layer" if all(errors) else f"{silent} of {len(errors)} shards"
            raise CommandError(f"{what} cannot be used.")

    def _watch(self, layer: ChannelLayerWrapper, options: dict[str, Any]) -> None:
        rates = Rates()
        try:
            while True:
                self._show(layer, options, rates)
                time.sleep(options["watch"])
        except KeyboardInterrupt:
            if self.stdout.isatty():
                self.stdout.write()  # so that the prompt of the shell has a line of its own

    def _show(
        self, layer: ChannelLayerWrapper, options: dict[str, Any], rates: Rates
    ) -> dict[str, Any]:
        report = make_report(layer)
        rates.add_to(report, time.monotonic())
        shorten(report, options["limit"])
        if options["json"]:
            self.stdout.write(json.dumps(report))
        elif options["watch"] is not None and self.stdout.isatty():
            self._draw(report)
        else:
            width = shutil.get_terminal_size().columns if self.stdout.isatty() else WIDTH
            lines = Screen(self.style, width).lines(report)
            is_last = options["watch"] is None
            self.stdout.write("\n".join(lines), ending="\n" if is_last else "\n\n")
        self.stdout.flush()
        return report

    def _draw(self, report: dict[str, Any]) -> None:
        """Put a report in the place of the one before; what the screen has no room for is cut."""
        width, height = shutil.get_terminal_size()
        lines = [
            part for line in Screen(self.style, width).lines(report) for part in fold(line, width)
        ]
        if len(lines) > height:
            rest = len(lines) - height + 1
            note = f"({rest} more lines: enlarge the window, or use --limit)"
            lines[height - 1 :] = [note[:width]]
        # Behind a line that fills the terminal, to clear what follows would take its last letter.
        *first, last = [CLEAR_LINE + line for line in lines]
        self.stdout.write(HOME + "\n".join([*first, CLEAR_BELOW + last]), ending="")

    def _flush(self, layer: ChannelLayerWrapper, interactive: bool) -> None:
        if "flush" not in getattr(layer, "extensions", ()):
            raise CommandError(f"The channel layer {layer} cannot be emptied: it has no flush().")
        if interactive and not sys.stdin.isatty():
            raise CommandError(
                "There is no terminal to ask for confirmation on: give --no-input to empty the "
                "layer without a question."
            )
        report = make_report(layer)
        if silent := find_silent(report):
            raise CommandError(f"Nothing was changed. {' '.join(silent)}")
        if interactive and not self._confirms(report):
            self.stdout.write("Nothing was changed.")
            return
        try:
            layer.flush()
        except ChannelLayerUnavailable as error:
            raise CommandError(f"A part of the layer may be left: {error}") from error
        self.stdout.write(f"The channel layer {layer.alias} is empty.")

    def _confirms(self, report: dict[str, Any]) -> bool:
        self.stdout.write(_question(report), ending="")
        self.stdout.flush()
        try:
            return input() == "yes"
        except (EOFError, KeyboardInterrupt):
            self.stdout.write()
            return False


def _check(options: dict[str, Any]) -> None:
    if options["limit"] < 0:
        raise CommandError(f"--limit must be 0 or more, not {options['limit']}.")
    watch = options["watch"]
    if watch is not None and not (watch > 0 and math.isfinite(watch)):
        raise CommandError(f"--watch must be a number of seconds, not {watch:g}.")
    if options["flush"] and (options["json"] or watch is not None):
        raise CommandError("--flush goes with neither --watch nor --json.")


def _visible_layer(alias: str) -> ChannelLayerWrapper:
    layer = configured_layer(alias)
    if layer.local_only():
        raise CommandError(
            f"The channel layer {layer} lives in the process that uses it, so that nothing of it "
            "can be seen from here: look at a layer such as "
            "channels.layers.redis.RedisChannelLayer."
        )
    return layer


def _question(report: dict[str, Any]) -> str:
    """What would be emptied, and what would be lost; it ends where the answer is typed."""
    lines = [f"This removes everything from the channel layer {report['layer']}:", ""]
    if "shards" in report:
        queues = sum(channel["queues"] for channel in report["channels"])
        servers = ", ".join(str(shard["server"]) for shard in report["shards"])
        lines += [
            f"  at       {servers}",
            f"  prefix   {report['prefix']!r}",
            f"  lost     {_number(report['statistics']['messages_pending'], 'message')} in "
            f"{_number(queues, 'queue')}",
            f"           the members of {_number(len(report['groups']), 'group')}",
            "           all statistics",
        ]
    else:
        lines.append(f"  {report['backend']}: all messages and groups")
    return "\n".join([*lines, "", "Type 'yes' to empty it, or 'no' to leave it alone: "])


def _number(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
