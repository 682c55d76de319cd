"""The channels_layer command: what an operator sees of a layer, and emptying it."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.core.management.color import no_style

from channels import channel_layers
from channels.asgi import ChannelLayerWrapper
from channels.exceptions import ChannelLayerUnavailable
from channels.layers.redis import RedisChannelLayer
from channels.management.layer_report import LISTS, Rates, find_problems, make_report, shorten
from channels.management.layer_screen import Screen, age, fold, table

from ..redis_server import RedisServer
from .tools import ForeignLayer

ROOT = Path(__file__).parents[2]

#: Seconds that a command may take to say what it is expected to.
PATIENCE = 20

Config = dict[str, Any]
Use = Callable[..., Any]


@pytest.fixture
def use() -> Iterator[Use]:
    """Makes a layer the default one, and returns it."""

    def use_layer(layer: Any) -> Any:
        channel_layers.set("default", ChannelLayerWrapper(layer, "default", []))
        return layer

    yield use_layer
    channel_layers.set("default", None)


@pytest.fixture
def new_layer(use: Use, redis_config: Config) -> Iterator[Callable[..., RedisChannelLayer]]:
    """Makes layers that share one prefix; the last one is the default."""
    made: list[RedisChannelLayer] = []

    def make(**config: Any) -> RedisChannelLayer:
        made.append(use(RedisChannelLayer(**{**redis_config, **config})))
        return made[-1]

    yield make
    for layer in made:
        layer.close()


@pytest.fixture
def layer(new_layer: Callable[..., RedisChannelLayer]) -> RedisChannelLayer:
    return new_layer()


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("channels_layer", *arguments, stdout=out)
    return out.getvalue()


def report(*arguments: str) -> Config:
    found: Config = json.loads(run("--json", *arguments))
    return found


def send(layer: RedisChannelLayer, channel: str, number: int) -> None:
    for _ in range(number):
        layer.send(channel, {})


# The screen


def test_an_idle_layer(layer: RedisChannelLayer, redis_server: RedisServer) -> None:
    text = run()
    assert "default: channels.layers.redis.layer.RedisChannelLayer" in text
    assert layer.prefix in text
    assert f"127.0.0.1:{redis_server.port}" in text
    assert "Nothing looks wrong." in text
    assert "No messages were sent of late." in text


def test_everything_that_the_layer_holds_has_its_line(layer: RedisChannelLayer) -> None:
    send(layer, "work", 3)
    for number in range(1200):
        layer.send(f"body?{number}", {})
    for process in ("P1", "P2"):
        layer.receive([f"websocket.send.{process}!"])
        layer.group_add("people", f"websocket.send.{process}!a")
        layer.group_add("people", f"websocket.send.{process}!b")
        layer.send(f"websocket.send.{process}!a", {})
    lines = {re.sub(r"\d+ s\b", "0 s", " ".join(line.split())) for line in run().splitlines()}
    assert "body? (1,200 queues) 1,200 0 s 1,000 0 1,200" in lines
    assert "websocket.send.*! (2 queues) 2 0 s 1,000 0 2" in lines
    assert "work 3 0 s 1,000 0 3" in lines
    assert "people 4 2" in lines
    assert "P1 1 0 s 0 s ago" in lines
    assert "1,205 messages wait; 1,205 were sent of late, 0 more met a full channel." in lines


def test_it_fits_a_terminal(layer: RedisChannelLayer) -> None:
    send(layer, "a-rather-long-name-of-a-channel.with-a-rather-long-name-of-its-own.for-tests", 2)
    send(layer, "x" * 99, 1)
    layer.group_add("g" * 99, "x.p!s")
    layer.receive(["x.p!"])
    long = [line for line in run().splitlines() if len(line) > 80]
    assert [line.strip("x g") for line in long] == ["", ""]


@pytest.mark.parametrize("width", range(20, 81, 6))
def test_it_fits_any_terminal(new_layer: Callable[..., RedisChannelLayer], width: int) -> None:
    layer = new_layer(capacity=3)
    send(layer, "websocket.receive", 3)
    for name in ("a.channel", "x.p!s"):
        layer.send(name, {})
        layer.group_add("people-in-a-room", name)
    layer.receive(["x.p!"])
    found, rates = make_report(channel_layers["default"]), Rates()
    for at in (1.0, 2.0):
        rates.add_to(found, at)
    shorten(found, 1)
    lines = Screen(no_style(), width).lines(found)
    assert [line for line in lines if len(line) > width] == []
    words = " ".join(" ".join(lines).split())
    for part in (
        "is full: 3 messages wait", "127.0.0.1:", "answers", "4 messages wait;", "and 2 more;",
        "websocket.receive", "people-in-a-room", "waiting", "members",
    ):  # fmt: skip
        assert part in words


def test_lists_are_cut_and_say_how_much_is_missing(layer: RedisChannelLayer) -> None:
    for number in range(23):
        layer.send(f"channel{number:02}", {})
    text = run()
    assert "channel19" in text
    assert "channel20" not in text
    assert "3 more; --limit 0 shows all" in text
    assert "channel22" in run("--limit=0")
    assert "21 more" in run("--limit=2")


# What is wrong


def test_a_full_channel_is_named(new_layer: Callable[..., RedisChannelLayer]) -> None:
    layer = new_layer(capacity=3)
    send(layer, "work", 3)
    assert report()["problems"] == [
        "work is full: 3 messages wait, which is its capacity. Workers do not keep up, or "
        "there is none."
    ]
    assert "! work is full: 3 messages" in run()


def test_full_single_reader_channels_are_counted(
    new_layer: Callable[..., RedisChannelLayer],
) -> None:
    layer = new_layer(capacity=1)
    for number in range(3):
        layer.send(f"body?{number}", {})
    [problem] = report()["problems"]
    assert problem.startswith("body? has 3 full channels of 3")


def test_a_message_that_nobody_takes_is_named(
    new_layer: Callable[..., RedisChannelLayer],
) -> None:
    send(new_layer(expiry=20), "work", 2)
    new_layer()
    [problem] = report()["problems"]
    assert re.match(r"work: the oldest message has waited 4\d s, of 60 s that it may\.", problem)


def test_a_process_that_hangs_is_named(new_layer: Callable[..., RedisChannelLayer]) -> None:
    send(new_layer(expiry=20), "x.P!s", 2)
    layer = new_layer()
    [problem] = report()["problems"]
    assert problem.startswith("2 messages wait for process P, which is gone")
    layer._driver.drive(layer._receiver.processes.announce(0, "x.P!"))
    [problem] = report()["problems"]
    assert re.match(r"Process P lives, but has left messages unread for 4\d s", problem)


def test_a_process_that_was_last_seen_long_ago_is_named() -> None:
    process = {
        "name": "P", "alive": True, "last_seen": 45.2, "messages_pending": 3,
        "messages_max_age": 44.0, "queues_full": 0,
    }  # fmt: skip
    [problem] = find_problems({"processes": [process]})
    assert problem == (
        "3 messages wait for process P, which was last seen 45 s ago: it has ended, or hangs."
    )


def test_a_process_whose_queue_is_full_is_named(
    new_layer: Callable[..., RedisChannelLayer],
) -> None:
    layer = new_layer(capacity=2)
    layer.receive(["x.P!"])
    send(layer, "x.P!s", 2)
    [problem] = report()["problems"]
    assert problem.startswith("A queue of process P is full")


def test_keys_of_somebody_else_are_named(
    layer: RedisChannelLayer, redis_server: RedisServer
) -> None:
    names = [f"{layer.prefix}alien{number}" for number in range(5)]
    with redis_server.client() as client:
        client.set(names[0], "")
        [problem] = report()["problems"]
        assert problem.startswith(f"The key {names[0]!r} at 127.0.0.1:{redis_server.port} holds")
        client.mset(dict.fromkeys(names, ""))
    [problem] = report()["problems"]
    assert problem.startswith("5 keys hold something that is not of this layer")
    assert f"{names[2]!r} at 127.0.0.1:{redis_server.port}, and 2 more." in problem
    assert len(report("--limit=1")["wrong_keys"]) == 1


def test_a_server_that_does_not_answer_is_named_and_the_code_is_1(
    new_layer: Callable[..., RedisChannelLayer], capsys: pytest.CaptureFixture[str]
) -> None:
    with RedisServer() as first, RedisServer(password="hush") as second:
        layer = new_layer(hosts=[first.url, second.url])
        send(layer, "work", 4)
        second.stop()
        out = io.StringIO()
        with pytest.raises(CommandError, match=r"1 of 2 shards cannot be used") as caught:
            call_command("channels_layer", stdout=out)
        assert caught.value.returncode == 1
        text = out.getvalue()
        assert "! Shard 2 of 2 tells nothing: Redis at" in text
        assert f"127.0.0.1:{second.port}  cannot be used" in text
        assert "As far as is known, 2 messages wait; 2 were sent of late" in text
        assert "work" in text
        assert "hush" not in text


def test_nothing_is_said_of_messages_when_no_server_answers(
    new_layer: Callable[..., RedisChannelLayer],
) -> None:
    with RedisServer() as server:
        new_layer(hosts=[server.url])
    out = io.StringIO()
    with pytest.raises(CommandError, match=r"^The layer cannot be used\.$"):
        call_command("channels_layer", stdout=out)
    assert "! The layer tells nothing: Redis at" in out.getvalue()
    assert "messages" not in out.getvalue()


def test_shards_that_fail_for_one_reason_are_named_together() -> None:
    def problems(*errors: str | None) -> list[str]:
        return find_problems({"shards": [{"server": None, "error": error} for error in errors]})

    assert problems("away", None, "away") == ["Shards 1, 3 of 3 tell nothing: away"]
    assert problems("away", "away") == ["The layer tells nothing: away"]
    assert problems("away", "shut") == [
        "Shard 1 of 2 tells nothing: away",
        "Shard 2 of 2 tells nothing: shut",
    ]


# JSON


def test_the_document_has_the_same(layer: RedisChannelLayer, redis_server: RedisServer) -> None:
    send(layer, "work", 2)
    layer.group_add("g", "x.p!s")
    layer.receive(["x.p!"])
    found = report("--limit=1")
    assert list(found) == [
        "time", "layer", "backend", "problems", "prefix", "expiry", "shards", "statistics",
        "channels", "groups", "processes", "wrong_keys", "more",
    ]  # fmt: skip
    assert found["layer"] == "default"
    assert found["shards"] == [{"server": f"127.0.0.1:{redis_server.port}", "error": None}]
    assert found["statistics"] == {
        "messages_count": 2, "messages_pending": 2, "channel_full_count": 0,
        "messages_per_second": None,
    }  # fmt: skip
    assert set(found["channels"][0]) == {
        "name", "messages_pending", "messages_max_age", "capacity", "messages_count",
        "channel_full_count", "queues", "queues_full", "messages_per_second",
    }  # fmt: skip
    assert found["groups"] == [{"name": "g", "members": 1, "processes": 1}]
    assert set(found["processes"][0]) == {
        "name", "alive", "last_seen", "messages_pending", "messages_max_age", "queues_full",
    }  # fmt: skip
    assert found["more"] == dict.fromkeys(LISTS, 0)


def test_the_document_is_cut_too(layer: RedisChannelLayer) -> None:
    for name in ("a", "b", "c"):
        layer.send(name, {})
    found = report("--limit=1")
    assert [channel["name"] for channel in found["channels"]] == ["a"]
    assert found["more"]["channels"] == 2
    assert len(report("--limit=0")["channels"]) == 3


def test_rates_are_what_was_sent_since_the_last_look() -> None:
    def look(sent: int) -> Config:
        counted = {"messages_count": sent}
        return {"statistics": dict(counted), "channels": [{"name": "a", **counted}]}

    rates = Rates()
    found = [look(10), look(30), look(5)]
    for at, figures in zip((100.0, 104.0, 106.0), found, strict=True):
        rates.add_to(figures, at)
    assert [figures["channels"][0]["messages_per_second"] for figures in found] == [None, 5, None]
    assert [figures["statistics"]["messages_per_second"] for figures in found] == [None, 5, None]


def test_there_are_no_rates_when_other_shards_answer_than_before() -> None:
    def look(sent: int, *errors: str | None) -> Config:
        shards = [{"server": None, "error": error} for error in errors]
        return {"statistics": {"messages_count": sent}, "shards": shards}

    rates = Rates()
    found = [look(10, None, "away"), look(500, None, None), look(502, None, None)]
    for at, figures in enumerate(found):
        rates.add_to(figures, at)
    assert [figures["statistics"]["messages_per_second"] for figures in found] == [None, None, 2]


# Layers that cannot be looked into


def test_a_layer_of_one_process_cannot_be_seen_from_here() -> None:
    for arguments in ([], ["--flush", "--no-input"]):
        with pytest.raises(CommandError, match=r"InMemory.*lives in the process that uses it"):
            run(*arguments)


def test_an_unknown_alias_is_refused() -> None:
    with pytest.raises(CommandError, match=r"^There is no channel layer 'nope'"):
        run("--layer=nope")


def test_another_layer_can_be_looked_at(layer: RedisChannelLayer) -> None:
    channel_layers.set("other", ChannelLayerWrapper(layer, "other", []))
    try:
        assert report("--layer=other")["layer"] == "other"
    finally:
        channel_layers.set("other", None)


class CountingLayer(ForeignLayer):
    extensions = ("statistics", "flush")

    def global_statistics(self) -> dict[str, int]:
        return {"messages_count": 7, "channel_full_count": 1, "sunny_days": 3}

    def flush(self) -> None:
        self.queues.clear()


def test_of_a_layer_of_others_its_statistics_are_shown(use: Use) -> None:
    use(CountingLayer())
    text = run()
    assert "This layer tells no more about itself than these figures" in text
    assert "sunny_days          3" in text
    found = report()
    assert "channels" not in found
    assert found["statistics"]["channel_full_count"] == 1


def test_a_layer_that_tells_nothing_at_all_says_so(use: Use) -> None:
    use(ForeignLayer())
    assert "This layer tells nothing about itself" in run()
    assert report()["statistics"] == {}


# Emptying


def test_flush_without_a_terminal_needs_no_input(layer: RedisChannelLayer) -> None:
    send(layer, "work", 1)
    with pytest.raises(CommandError, match=r"no terminal.*--no-input"):
        run("--flush")
    assert layer.channel_statistics("work")["messages_pending"] == 1


def test_flush_with_no_input_empties(layer: RedisChannelLayer) -> None:
    send(layer, "work", 2)
    assert run("--flush", "--no-input") == "The channel layer default is empty.\n"
    assert layer.describe()["channels"] == []


def test_flush_of_a_layer_of_others(use: Use) -> None:
    layer = use(CountingLayer())
    layer.send("a", {})
    run("--flush", "--noinput")
    assert layer.queues == {}


def test_flush_of_a_layer_that_cannot_is_refused(use: Use) -> None:
    use(ForeignLayer())
    with pytest.raises(CommandError, match=r"ForeignLayer.* cannot be emptied"):
        run("--flush", "--no-input")


class FailingLayer(CountingLayer):
    def global_statistics(self) -> dict[str, int]:
        raise ChannelLayerUnavailable("The weather is bad.")


class HalfEmptyLayer(CountingLayer):
    def flush(self) -> None:
        raise ChannelLayerUnavailable("The weather is bad.")


def test_a_layer_of_others_that_fails_is_an_error_without_a_traceback(use: Use) -> None:
    use(FailingLayer())
    with pytest.raises(CommandError, match=r"^The weather is bad\.$"):
        run()


def test_a_failure_while_the_layer_is_emptied_says_that_something_may_be_left(use: Use) -> None:
    use(HalfEmptyLayer())
    with pytest.raises(CommandError, match=r"part of the layer may be left: The weather is bad"):
        run("--flush", "--no-input")


def test_flush_while_a_server_is_away_is_refused_before_anything_is_lost(
    new_layer: Callable[..., RedisChannelLayer],
) -> None:
    with RedisServer() as first, RedisServer() as second:
        layer = new_layer(hosts=[first.url, second.url])
        send(layer, "work", 4)
        second.stop()
        with pytest.raises(CommandError, match=r"cannot be reached"):
            run("--flush", "--no-input")
        assert layer.describe()["statistics"]["messages_pending"] == 2


# Options


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--limit=-1"], "--limit must be 0 or more, not -1"),
        (["--watch=0"], "--watch must be a number of seconds, not 0"),
        (["--watch=nan"], "--watch must be a number of seconds, not nan"),
        (["--watch=inf"], "--watch must be a number of seconds, not inf"),
        (["--flush", "--json"], "--flush goes with neither --watch nor --json"),
        (["--flush", "--watch"], "--flush goes with neither --watch nor --json"),
    ],
)
def test_bad_options_are_refused(
    layer: RedisChannelLayer, arguments: list[str], message: str
) -> None:
    with pytest.raises(CommandError, match=message):
        run(*arguments)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"), (0.4, "0 s"), (59.6, "60 s"), (119, "119 s"), (120, "2 min"),
        (7199, "119 min"), (7200, "2 h"), (172_799, "47 h"), (172_800, "2 d"),
    ],
)  # fmt: skip
def test_ages_are_short(seconds: float, text: str) -> None:
    assert age(seconds) == text


def test_figures_of_a_table_are_right_aligned_and_long_names_stand_alone() -> None:
    rows = [("a", "1", "2 s"), ("a-long-name", "10,000", ""), ("b", "3", "4 min")]
    assert table(("name", "waiting", "oldest"), rows, 24) == [
        ["name  waiting  oldest"],
        ["a           1     2 s"],
        ["a-long-name", "       10,000"],
        ["b           3   4 min"],
    ]


def test_columns_that_a_table_has_no_room_for_are_left_out_but_one() -> None:
    rows = [("a", "1", "2 s")]
    header = ("name", "waiting", "oldest")
    assert table(header, rows, 17) == [["name", "  waiting  oldest"], ["a", "        1     2 s"]]
    assert table(header, rows, 16) == [["name  waiting"], ["a           1"]]
    assert table(header, rows, 4) == [["name", "  waiting"], ["a", "        1"]]


def test_a_line_is_folded_as_terminals_do() -> None:
    assert fold("abcdefg", 3) == ["abc", "def", "g"]
    assert fold("abc", 3) == ["abc"]
    assert fold("", 3) == [""]


# In a process of its own


class CommandProcess:
    """A running ``channels_layer``, on pipes or with ``terminal`` on one of its own."""

    def __init__(
        self, config: Config, *arguments: str, terminal: bool = False, width: int = 80
    ) -> None:
        ours, theirs = pty.openpty() if terminal else (None, subprocess.PIPE)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "django", "channels_layer", *arguments],
            cwd=ROOT,
            env={
                **os.environ,
                "DJANGO_SETTINGS_MODULE": "tests.core.layer_settings",
                "PYTHONPATH": str(ROOT),
                "LAYER_CONFIG": json.dumps(config),
                "PYTHONUNBUFFERED": "",
                "TERM": "xterm",
                "COLUMNS": f"{width}",
                "LINES": "24",
            },
            stdin=theirs,
            stdout=theirs,
            stderr=subprocess.PIPE,
        )
        if ours is None:
            assert self.process.stdout
            self._output = self.process.stdout.fileno()
        else:
            os.close(theirs)
            self._output = ours
        self.heard = ""

    def hear(self, *words: str) -> str:
        """Read until all ``words`` have come, in their order; what has come up to there."""
        at = 0
        for word in words:
            while (found := self.heard.find(word, at)) < 0:
                ready, _, _ = select.select([self._output], [], [], PATIENCE)
                part = os.read(self._output, 10_000) if ready else b""
                assert part, f"{word!r} does not come after {self.heard!r}"
                self.heard += part.decode()
            at = found + len(word)
        text, self.heard = self.heard[:at], self.heard[at:]
        return text

    def stop_reading(self) -> None:
        assert self.process.stdout
        self.process.stdout.close()

    def type(self, text: str) -> None:
        os.write(self._output, text.encode())

    def end(self) -> tuple[int, str]:
        """The exit code and what was said on stderr, once it has ended."""
        assert self.process.stderr
        errors = self.process.stderr.read().decode()
        return self.process.wait(PATIENCE), errors

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream:
                stream.close()
        if self.process.stdout is None:
            os.close(self._output)


@pytest.fixture
def start(redis_config: Config) -> Iterator[Callable[..., CommandProcess]]:
    started: list[CommandProcess] = []

    def start_command(*arguments: str, **options: Any) -> CommandProcess:
        started.append(CommandProcess(redis_config, *arguments, **options))
        return started[-1]

    yield start_command
    for command in started:
        command.close()


def test_what_is_wrong_elsewhere_keeps_nobody_from_looking(
    layer: RedisChannelLayer, start: Callable[..., CommandProcess]
) -> None:
    command = start()
    command.hear("default: ", "Nothing looks wrong.")
    assert command.end() == (0, "")


def test_watch_on_a_pipe_goes_on_until_it_is_interrupted(
    layer: RedisChannelLayer, start: Callable[..., CommandProcess]
) -> None:
    command = start("--watch=0.1", "--json")
    assert json.loads(command.hear("\n"))["statistics"]["messages_per_second"] is None
    send(layer, "work", 2)
    while not (found := json.loads(command.hear("\n")))["channels"]:
        pass
    [work] = found["channels"]
    assert work["name"] == "work"
    assert found["statistics"]["messages_per_second"] > 0
    command.process.send_signal(signal.SIGINT)
    assert command.end() == (0, "")


def test_looks_on_a_pipe_are_set_apart(
    layer: RedisChannelLayer, start: Callable[..., CommandProcess]
) -> None:
    command = start("--watch=0.1")
    assert command.hear("default: ", "default: ").endswith("were sent of late.\n\ndefault: ")


def test_a_reader_that_has_had_enough_ends_it_quietly(
    layer: RedisChannelLayer, start: Callable[..., CommandProcess]
) -> None:
    for arguments in (["--watch=0.01"], ["--watch=0.01", "--json"], []):
        command = start(*arguments)
        command.stop_reading()
        assert command.end() == (141, "")


def test_a_look_is_told_at_once(
    layer: RedisChannelLayer, start: Callable[..., CommandProcess]
) -> None:
    command = start("--watch=3600")
    command.hear("Nothing looks wrong.")
    command.process.send_signal(signal.SIGINT)
    assert command.end() == (0, "")


def test_the_end_of_watch_leaves_the_prompt_a_line_of_its_own(
    layer: RedisChannelLayer, start: Callable[..., CommandProcess]
) -> None:
    command = start("--watch=3600", terminal=True)
    command.hear("No messages were sent of late.")
    command.process.send_signal(signal.SIGINT)
    assert command.hear("\n") == "\r\n"


@pytest.mark.parametrize("width", [80, 30])
def test_watch_on_a_terminal_draws_anew_and_stays_within_it(
    layer: RedisChannelLayer, start: Callable[..., CommandProcess], width: int
) -> None:
    send(layer, "x" * 99, 2)
    for number in range(30):
        layer.send(f"channel{number}", {})
    command = start("--watch=0.1", terminal=True, width=width)
    home = "\x1b[H"
    command.hear(home, home)
    lines = command.hear(home).removesuffix(home).splitlines()
    assert len(lines) <= 24
    shown = [re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", line) for line in lines]
    assert max(map(len, shown)) == width
    assert "x" * (99 % width) in shown
    assert "more lines" in lines[-1]
    command.process.send_signal(signal.SIGINT)
    assert command.end() == (0, "")


def test_flush_asks_first_and_says_what_would_be_lost(
    layer: RedisChannelLayer,
    start: Callable[..., CommandProcess],
    redis_server: RedisServer,
) -> None:
    send(layer, "work", 2)
    layer.send("body?1", {})
    layer.group_add("g", "plain")
    command = start("--flush", terminal=True)
    question = command.hear("Type 'yes' to empty it")
    for words in (
        "channel layer default", f"127.0.0.1:{redis_server.port}", repr(layer.prefix),
        "3 messages in 2 queues", "the members of 1 group",
    ):  # fmt: skip
        assert words in question
    command.type("y\n")
    command.hear("Nothing was changed.")
    assert command.end() == (0, "")
    assert layer.describe()["statistics"]["messages_pending"] == 3
    command = start("--flush", terminal=True)
    command.hear("Type 'yes' to empty it")
    command.type("yes\n")
    command.hear("is empty.")
    assert command.end() == (0, "")
    assert layer.describe()["groups"] == []


def test_the_end_of_the_input_is_no_yes(
    layer: RedisChannelLayer, start: Callable[..., CommandProcess]
) -> None:
    send(layer, "work", 1)
    command = start("--flush", terminal=True)
    command.hear("Type 'yes' to empty it")
    command.type("\x04")
    command.hear("Nothing was changed.")
    assert command.end() == (0, "")
    assert layer.channel_statistics("work")["messages_pending"] == 1
