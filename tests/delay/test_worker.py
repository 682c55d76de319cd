import time

import pytest
from django.db import DataError, OperationalError, connection

from channels.delay import worker
from channels.delay.models import MAX_DELAY, DelayedMessage
from channels.exceptions import ChannelLayerUnavailable
from channels.layers.memory import InMemoryChannelLayer

from .conftest import PATIENCE

DELAY = "asgi.delay"


def ask(layer, content=None, delay=0, channel="out"):
    layer.send(DELAY, {"channel": channel, "content": content or {}, "delay": delay})


def errors(caplog):
    return [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]


class Clock:
    """Notes when a channel got its messages."""

    def __init__(self, layer, channel):
        self._layer, self._channel = layer, channel
        self.times = []

    def saw(self, number):
        while self._layer.receive([self._channel])[0]:
            self.times.append(time.monotonic())
        return len(self.times) >= number


class Outage:
    """A database that answers no statement that starts with one of ``statements``."""

    def __init__(self, *statements, error=OperationalError):
        self.statements, self.error = statements, error
        self.refused = 0
        self.on = True

    def __call__(self, execute, sql, params, many, context):
        if self.on and sql.startswith(self.statements):
            self.refused += 1
            raise self.error("server closed the connection\nunexpectedly")
        return execute(sql, params, many, context)


def test_a_message_is_sent_on_with_its_content_when_it_is_due(layer, serve, pending):
    ask(layer, {"text": "é", "bytes": b"\xff", "deep": {1: [None]}})
    serve(lambda: pending("out"))
    assert layer.receive(["out"]) == ("out", {"text": "é", "bytes": b"\xff", "deep": {1: [None]}})
    assert not DelayedMessage.objects.exists()


def test_a_message_that_is_not_due_is_kept_in_the_database(layer, serve, pending):
    ask(layer, {"late": True}, delay=60_000)
    serve(lambda: DelayedMessage.objects.exists())
    assert (pending("out"), pending(DELAY)) == (0, 0)
    assert 50 < worker._seconds_until(DelayedMessage.objects.get().due_date) <= 60


def test_a_message_is_sent_on_time_whatever_the_time_between_looks(layer, serve, monkeypatch):
    """Neither early, nor only when a blocking receive or a sleep is over."""
    monkeypatch.setattr("channels.layers.memory.BLOCK_SECONDS", 2 * PATIENCE)
    clock = Clock(layer, "out")
    start = time.monotonic()
    ask(layer, delay=300)
    serve(lambda: clock.saw(1), sleep=3600)
    assert clock.times[0] - start > 0.29


def test_what_is_due_long_after_a_look_is_sent_on_time_too(layer, serve, monkeypatch):
    """The wait is a blocking receive at first, which must not last beyond the due date."""

    def receive(channels, block=False):
        found = InMemoryChannelLayer.receive(layer, channels, block)
        if block and found[0] is None:
            # There is no time for another one.
            monkeypatch.setattr("channels.layers.memory.BLOCK_SECONDS", 2 * PATIENCE)
        return found

    monkeypatch.setattr(layer, "receive", receive)
    clock = Clock(layer, "out")
    start = time.monotonic()
    ask(layer, delay=1500)
    serve(lambda: clock.saw(1), sleep=3600)
    assert clock.times[0] - start > 1.49


def test_messages_are_sent_in_the_order_of_their_due_dates(layer, serve, pending):
    for number in (3, 1, 2):
        ask(layer, {"n": number}, delay=number * 30)
    serve(lambda: pending("out") == 3)
    assert [layer.receive(["out"])[1]["n"] for _ in range(3)] == [1, 2, 3]


def test_messages_that_others_store_are_found(layer, serve, pending):
    def store_one():
        if not DelayedMessage.objects.exists() and not pending("out"):
            DelayedMessage.objects.create(channel_name="out", content="{}", delay=50)
        return pending("out")

    serve(store_one)
    assert not DelayedMessage.objects.exists()


def test_more_messages_than_a_batch_are_all_sent_at_once(layer, serve, pending):
    number = 2 * worker.BATCH_SIZE + 1
    DelayedMessage.objects.bulk_create(
        DelayedMessage(channel_name="out", content={"n": n}) for n in range(number)
    )
    serve(lambda: pending("out") == number, sleep=3600)


def test_a_backlog_of_due_messages_does_not_keep_new_ones_waiting(layer, serve, pending):
    DelayedMessage.objects.bulk_create(
        DelayedMessage(channel_name="out", content="{}") for _ in range(3 * worker.BATCH_SIZE)
    )
    late = []

    def ask_during_the_backlog():
        if pending("out") == 50:
            ask(layer, delay=60_000, channel="late")
        if not late and DelayedMessage.objects.filter(channel_name="late").exists():
            late.append(pending("out"))
        return pending("out") == 3 * worker.BATCH_SIZE

    serve(ask_during_the_backlog)
    assert late == [worker.BATCH_SIZE]


def test_a_flood_of_new_messages_does_not_keep_due_ones_waiting(layer, serve, pending):
    DelayedMessage.objects.create(channel_name="out", content="{}")

    def flood():
        if pending(DELAY) < 2 * worker.BATCH_SIZE:
            ask(layer, delay=60_000, channel="later")
            ask(layer, delay=60_000, channel="later")
        return pending("out")

    serve(flood, sleep=0.001)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({}, "no 'channel' and no 'content' and no 'delay'"),
        ({"channel": "out", "content": {}}, "no 'delay'"),
        ({"channel": "out", "delay": 0}, "no 'content'"),
        ({"channel": "bad name", "content": {}, "delay": 0}, "' ' at position 3"),
        ({"channel": 5, "content": {}, "delay": 0}, "must be text, not int"),
        ({"channel": "x" * 100, "content": {}, "delay": 0}, "fewer than 100 characters"),
        ({"channel": "out", "content": "text", "delay": 0}, "a dict, not str"),
        ({"channel": "out", "content": {1: 2}, "delay": 0}, "keys must be text"),
        ({"channel": "out", "content": {}, "delay": "5"}, "number of milliseconds, not '5'"),
        ({"channel": "out", "content": {}, "delay": None}, "number of milliseconds, not None"),
        ({"channel": "out", "content": {}, "delay": True}, "number of milliseconds, not True"),
        ({"channel": "out", "content": {}, "delay": MAX_DELAY + 1}, "too long"),
        ({"channel": "out", "content": {}, "delay": -MAX_DELAY * 2}, "too long"),
        ({"channel": "out", "content": {}, "delay": float("nan")}, "too long"),
    ],
)
def test_a_bad_message_is_logged_with_the_reason_and_the_next_one_sent(
    layer, serve, pending, caplog, bad, reason
):
    layer.send(DELAY, bad)
    ask(layer, {"good": True}, channel="good")
    serve(lambda: pending("good"))
    assert len(errors(caplog)) == 1
    assert errors(caplog)[0].startswith("A message on asgi.delay is dropped: ")
    assert reason in errors(caplog)[0]
    assert not DelayedMessage.objects.exists()


def test_a_message_whose_time_is_over_already_is_sent_at_once(layer, serve, pending, caplog):
    """Whoever computes a delay up to a moment may be late; the message is wanted all the same."""
    ask(layer, delay=-5)
    serve(lambda: pending("out"))
    assert "A delay of -5 ms" in caplog.text


def test_a_row_that_cannot_be_sent_is_logged_and_the_next_one_sent(layer, serve, pending, caplog):
    for channel, content in [("out", "no JSON"), ("bad name", "{}"), ("good", "{}")]:
        DelayedMessage.objects.create(channel_name=channel, content=content)
    serve(lambda: pending("good"))
    unreadable, misaddressed = errors(caplog)
    assert "to out at" in unreadable
    assert "Its stored content cannot be read" in unreadable
    assert "'bad name' is not a channel name" in misaddressed
    assert not DelayedMessage.objects.exists()


def test_a_message_too_large_for_the_layer_is_logged_and_dropped(serve, caplog):
    layer = InMemoryChannelLayer(max_message_size=100)
    DelayedMessage.objects.create(channel_name="out", content={"text": "x" * 200})
    serve(lambda: not DelayedMessage.objects.exists(), layer=layer)
    assert "is lost: The message has 2" in errors(caplog)[0]


def test_a_full_channel_delays_its_message_and_no_other(serve, caplog):
    layer = InMemoryChannelLayer(capacity=1)
    layer.send("full", {"n": 1})
    DelayedMessage.objects.create(channel_name="full", content={"n": 2})
    DelayedMessage.objects.create(channel_name="free", content={"n": 3})
    received = []

    def take_all():
        """Of the full channel only when the other one's message has come."""
        channels = ["free", "full"] if received else ["free"]
        _, content = layer.receive(channels)
        received.extend([content] if content else [])
        return len(received) == 3

    serve(take_all, layer=layer)
    assert received == [{"n": 3}, {"n": 1}, {"n": 2}]
    assert "Channel 'full' is full" in caplog.text
    assert errors(caplog) == []


@pytest.mark.django_db(transaction=True)
def test_a_received_message_waits_for_the_database(layer, serve, pending, caplog):
    """An outage is one line in the log, however long it is."""
    outage = Outage("INSERT")
    ask(layer, {"n": 1})

    def recover():
        outage.on = outage.refused < 3
        return pending("out")

    with connection.execute_wrapper(outage):
        serve(recover)
    assert outage.refused == 3
    assert errors(caplog) == [
        "The database does not work, messages wait: server closed the connection unexpectedly"
    ]


@pytest.mark.django_db(transaction=True)
def test_stored_messages_wait_for_the_database(layer, serve, pending, caplog):
    DelayedMessage.objects.create(channel_name="out", content="{}")
    outage = Outage("SELECT", "DELETE")

    def recover():
        outage.on = outage.refused < 3
        return pending("out")

    with connection.execute_wrapper(outage):
        serve(recover)
    assert outage.refused == 3
    assert len(errors(caplog)) == 1


@pytest.mark.django_db(transaction=True)
def test_a_second_outage_is_logged_too(layer, serve, pending, caplog):
    outage = Outage("INSERT")
    ask(layer, channel="one")

    def recover():
        outage.on = outage.refused == 0 or (outage.refused == 1 and bool(pending("one")))
        if outage.on and outage.refused == 1 and not pending(DELAY):
            ask(layer, channel="two")
        return pending("two")

    with connection.execute_wrapper(outage):
        serve(recover)
    assert len(errors(caplog)) == 2


@pytest.mark.django_db(transaction=True)
def test_a_message_for_which_the_database_never_works_is_given_up(
    layer, serve, pending, caplog, monkeypatch
):
    """It must not keep all others waiting: nothing says that it is not the cause."""
    monkeypatch.setattr(worker, "STORE_TIME", 0.1)
    outage = Outage("INSERT")
    ask(layer, channel="one")
    ask(layer, channel="two")

    def recover():
        outage.on = not any("one" in error for error in errors(caplog))
        return pending("two")

    with connection.execute_wrapper(outage):
        serve(recover)
    assert pending("one") == 0
    assert "The delayed message to one at" in errors(caplog)[1]


@pytest.mark.django_db(transaction=True)
def test_a_message_that_the_database_refuses_is_dropped_with_the_reason(
    layer, serve, pending, caplog
):
    outage = Outage("INSERT", error=DataError)
    ask(layer, channel="one")

    def accept_the_second():
        if outage.refused and outage.on:
            outage.on = False
            ask(layer, channel="two")
        return pending("two")

    with connection.execute_wrapper(outage):
        serve(accept_the_second)
    assert "The delayed message to one at" in errors(caplog)[0]
    assert "is lost: server closed" in errors(caplog)[0]
    assert outage.refused == 1


@pytest.mark.django_db(transaction=True)
def test_stopping_while_the_database_is_away_gives_the_message_back(layer, serve, pending):
    """Another server may store it, and it is due when it was before."""
    outage = Outage("INSERT")
    ask(layer, {"b": b"1"}, delay=5000)
    with connection.execute_wrapper(outage):
        serve(lambda: outage.refused)
    _, content = layer.receive([DELAY])
    assert 4000 < content.pop("delay") <= 5000
    assert content == {"channel": "out", "content": {"b": b"1"}}


@pytest.mark.django_db(transaction=True)
def test_a_message_that_cannot_be_given_back_is_logged(layer, serve, caplog):
    outage = Outage("INSERT")
    ask(layer, delay=5000)

    def fill():
        if outage.refused:
            layer.capacity = 0
        return outage.refused

    with connection.execute_wrapper(outage):
        serve(fill)
    assert "is lost: Channel 'asgi.delay' is full" in errors(caplog)[-1]


@pytest.mark.django_db(transaction=True)
def test_a_full_channel_and_then_no_database_lose_nothing(layer, serve, pending):
    """The row is gone when the channel proves full: the server keeps the message in hand."""
    layer.capacity = 0
    DelayedMessage.objects.create(channel_name="out", content={"n": 1})
    outage = Outage("INSERT")

    def recover():
        layer.capacity = 10 if outage.refused else 0
        outage.on = outage.refused < 2
        return pending("out")

    with connection.execute_wrapper(outage):
        serve(recover)
    assert outage.refused == 2
    assert layer.receive(["out"]) == ("out", {"n": 1})


class AwayLayer(InMemoryChannelLayer):
    """A layer that is away while ``away`` is true: for receivers that wait it is just silent."""

    away = True
    asked = 0
    waits = False

    def receive(self, channels, block=False):
        self.waits = self.waits or block
        if self.away:
            self.asked += 1
            if block:
                return None, None
            raise ChannelLayerUnavailable("Redis cannot be reached")
        return super().receive(channels, block)

    def send(self, channel, message):
        if self.away:
            raise ChannelLayerUnavailable("Redis cannot be reached")
        super().send(channel, message)


def test_a_message_that_comes_after_a_look_is_sent_on_time(serve):
    """The server knows of it without another look."""
    layer = AwayLayer()
    layer.away = False
    clock, start = Clock(layer, "out"), None

    def ask_later():
        nonlocal start
        if start is None and layer.waits:
            start = time.monotonic()
            ask(layer, delay=200)
        return clock.saw(1)

    serve(ask_later, sleep=3600, layer=layer)
    assert clock.times[0] - start > 0.19


@pytest.mark.parametrize("sleep", [0.02, 3600])
def test_due_messages_wait_for_the_layer(serve, caplog, sleep):
    layer = AwayLayer()
    DelayedMessage.objects.create(channel_name="out", content={"n": 1})
    DelayedMessage.objects.create(channel_name="out", content={"n": 2})

    def recover():
        layer.away = layer.asked < 5
        return layer.channel_statistics("out")["messages_pending"] == 2

    serve(recover, sleep=sleep, layer=layer)
    assert errors(caplog) == ["The channel layer is away, messages wait: Redis cannot be reached"]


def test_messages_found_while_the_layer_is_silently_away_wait(serve):
    """A receive that waits may give nothing both when there is nothing and in an outage."""
    layer = AwayLayer()
    layer.away = False

    def outage():
        if layer.waits and not layer.asked and not layer.away:
            DelayedMessage.objects.create(channel_name="out", content="{}")
            layer.away = True
        elif layer.asked >= 4:
            layer.away = False
        return layer.channel_statistics("out")["messages_pending"]

    serve(outage, sleep=1, layer=layer)
    assert not DelayedMessage.objects.exists()


def test_a_layer_that_goes_away_while_sending_costs_one_message(serve, caplog):
    """What may have arrived is not repeated; what was not tried is sent later."""

    class Unanswered(AwayLayer):
        away = False

        def send(self, channel, message):
            if message == {"n": 1}:
                self.away = True
                raise ChannelLayerUnavailable("Redis did not answer", may_have_arrived=True)
            super().send(channel, message)

    layer = Unanswered()
    for n in (1, 2, 3):
        DelayedMessage.objects.create(channel_name="out", content={"n": n})

    def recover():
        layer.away = layer.away and layer.asked < 3
        return layer.channel_statistics("out")["messages_pending"] == 2

    serve(recover, layer=layer)
    assert [layer.receive(["out"])[1] for _ in range(2)] == [{"n": 2}, {"n": 3}]
    assert "The delayed message to out at" in errors(caplog)[0]
    assert "is lost: Redis did not answer" in errors(caplog)[0]


def test_an_error_that_nobody_foresaw_is_logged_and_the_server_goes_on(serve, caplog):
    class Buggy(InMemoryChannelLayer):
        fail = True

        def receive(self, channels, block=False):
            if self.fail:
                self.fail = False
                raise RuntimeError("a bug")
            return super().receive(channels, block)

    layer = Buggy()
    ask(layer)
    serve(lambda: layer.channel_statistics("out")["messages_pending"], layer=layer)
    assert "RuntimeError: a bug" in caplog.text


@pytest.mark.parametrize("sleep", [0.2, 1.0])
def test_a_layer_that_never_waits_does_not_make_the_server_spin(serve, sleep):
    class Impatient(InMemoryChannelLayer):
        asked = 0

        def receive(self, channels, block=False):
            self.asked += 1
            return super().receive(channels)

    layer = Impatient()
    end = time.monotonic() + 0.5
    serve(lambda: time.monotonic() > end, sleep=sleep, layer=layer)
    assert layer.asked < 40


def test_a_layer_that_only_has_the_old_name_of_receive_is_served(serve, pending):
    class Old:
        """A third-party layer, written to the interface of old."""

        ChannelFull = InMemoryChannelLayer.ChannelFull

        def __init__(self, inner):
            self._inner = inner
            self.send = inner.send

        def receive_many(self, channels, block=False):
            return self._inner.receive(channels, block)

    inner = InMemoryChannelLayer()
    ask(inner, {"n": 1})
    serve(lambda: inner.channel_statistics("out")["messages_pending"], layer=Old(inner))


@pytest.mark.parametrize("later", [[], [60_000]])
def test_an_idle_server_uses_no_cpu(layer, serve, later):
    for delay in later:
        ask(layer, delay=delay)
    used, end = time.process_time(), time.monotonic() + 1.5
    serve(lambda: time.monotonic() > end, sleep=1)
    assert time.process_time() - used < 0.05


def test_stopping_in_the_middle_of_a_batch_leaves_the_rest_for_later(layer, serve, pending):
    for _ in range(10):
        DelayedMessage.objects.create(channel_name="out", content="{}")
    serve(lambda: pending("out") == 3)
    assert (pending("out"), DelayedMessage.objects.count()) == (3, 7)


@pytest.mark.django_db(transaction=True)
def test_a_row_that_cannot_be_removed_for_now_is_sent_when_it_can(layer, serve, pending, caplog):
    DelayedMessage.objects.create(channel_name="out", content="{}")
    outage = Outage("DELETE")

    def recover():
        assert not (outage.on and pending("out"))
        outage.on = outage.refused < 3
        return pending("out")

    with connection.execute_wrapper(outage):
        serve(recover)
    assert len(errors(caplog)) == 1
    assert not DelayedMessage.objects.exists()
