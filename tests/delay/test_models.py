import json
from datetime import timedelta

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import DatabaseError, connection
from django.test import override_settings
from django.utils import timezone

from channels import channel_layers
from channels.delay.models import MAX_DELAY, DelayedMessage
from channels.exceptions import ChannelLayerUnavailable
from channels.layers.memory import InMemoryChannelLayer

pytestmark = pytest.mark.django_db


def make(**fields):
    fields = {"channel_name": "out", "content": {"n": 1}, **fields}
    return DelayedMessage.objects.create(**fields)


def test_the_app_has_a_label_that_django_takes_and_the_table_of_old():
    assert apps.get_app_config("channels_delay").name == "channels.delay"
    assert DelayedMessage._meta.db_table == "channels.delay_delayedmessage"


def test_the_migrations_describe_the_models(capsys):
    call_command("makemigrations", "channels_delay", check=True, dry_run=True)
    assert "No changes" in capsys.readouterr().out


@override_settings(DEFAULT_AUTO_FIELD="django.db.models.AutoField")
def test_the_settings_of_a_project_do_not_alter_the_table(capsys):
    call_command("makemigrations", "channels_delay", check=True, dry_run=True)
    assert "No changes" in capsys.readouterr().out


def test_delay_sets_the_due_date_in_milliseconds():
    before = timezone.now()
    message = DelayedMessage(channel_name="out", content="{}", delay=90_000)
    assert timedelta(seconds=90) <= message.due_date - before < timedelta(seconds=95)
    assert message.delay == 90_000


def test_delay_is_unknown_for_a_message_from_the_database():
    make(delay=5)
    assert DelayedMessage.objects.get().delay is None


@pytest.mark.parametrize("delay", ["5", None, True, b"1"])
def test_a_delay_that_is_no_number_is_a_type_error(delay):
    with pytest.raises(TypeError, match="number of milliseconds"):
        DelayedMessage(delay=delay)


@pytest.mark.parametrize(
    "delay", [MAX_DELAY + 1, -MAX_DELAY - 1, 10**400, float("nan"), float("inf")]
)
def test_a_delay_beyond_reason_is_a_value_error(delay):
    with pytest.raises(ValueError, match="too long"):
        DelayedMessage(delay=delay)


def test_the_longest_delay_can_be_stored():
    due = make(delay=MAX_DELAY).due_date
    assert DelayedMessage.objects.get().due_date == due


def test_is_due_finds_only_what_is_due():
    due = make(delay=-1)
    make(delay=60_000)
    assert list(DelayedMessage.objects.is_due()) == [due]
    assert list(DelayedMessage.objects.filter(channel_name="other").is_due()) == []


def test_content_may_be_given_as_text_or_as_a_dict():
    text, mapping = make(content=json.dumps({"a": 1})), make(content={"b": b"\xff"})
    layer = InMemoryChannelLayer()
    for message in DelayedMessage.objects.order_by("pk"):
        message.send(layer)
    assert [layer.receive(["out"])[1] for _ in range(2)] == [{"a": 1}, {"b": b"\xff"}]
    assert (text.content, mapping.content) == ('{"a": 1}', {"b": b"\xff"})


def test_a_message_can_be_sent_by_the_object_that_was_just_saved(layer):
    assert make(content={"b": b"\xff"}).send(layer)
    assert layer.receive(["out"]) == ("out", {"b": b"\xff"})


def test_send_sends_to_the_default_layer_and_removes_the_row():
    channel_layers["default"].flush()
    assert make().send()
    assert channel_layers["default"].receive(["out"]) == ("out", {"n": 1})
    assert not DelayedMessage.objects.exists()


def test_a_message_is_sent_once_however_many_hold_it(layer, pending):
    first = make()
    second = DelayedMessage.objects.get()
    assert [first.send(layer), second.send(layer), first.send(layer)] == [True, False, False]
    assert pending("out") == 1


def test_a_full_channel_makes_the_message_due_later(pending):
    full = InMemoryChannelLayer(capacity=1)
    full.send("out", {})
    message, before = make(), timezone.now()
    assert not message.send(full, requeue_delay=30_000)
    stored = DelayedMessage.objects.get()
    assert stored == message
    assert timedelta(seconds=30) <= stored.due_date - before < timedelta(seconds=35)
    full.flush()
    assert stored.send(full)
    assert full.receive(["out"]) == ("out", {"n": 1})


def test_a_message_that_surely_did_not_arrive_is_kept():
    class Unreachable(InMemoryChannelLayer):
        def send(self, channel, message):
            raise ChannelLayerUnavailable("nothing was sent")

    message = make()
    assert not message.send(Unreachable())
    assert DelayedMessage.objects.get() == message


def test_requeueing_takes_a_second_by_default():
    before = timezone.now()
    make().send(InMemoryChannelLayer(capacity=0))
    due = DelayedMessage.objects.get().due_date
    assert timedelta(seconds=1) <= due - before < timedelta(seconds=5)


def test_a_message_that_may_have_arrived_is_not_kept():
    """At most once: a layer that gave no answer may have delivered it."""

    class Unanswered(InMemoryChannelLayer):
        def send(self, channel, message):
            super().send(channel, message)
            raise ChannelLayerUnavailable("no answer", may_have_arrived=True)

    with pytest.raises(ChannelLayerUnavailable):
        make().send(Unanswered())
    assert not DelayedMessage.objects.exists()


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"content": "no JSON"}, ValueError),
        ({"content": "[1]"}, ValueError),
        ({"channel_name": "bad name"}, TypeError),
    ],
)
def test_a_message_that_cannot_be_sent_says_why_and_is_gone(layer, fields, error):
    message = make(**fields)
    with pytest.raises(error):
        message.send(layer)
    assert not DelayedMessage.objects.exists()


def test_a_message_that_was_never_saved_is_refused(layer):
    with pytest.raises(ValueError, match=r"save\(\) it first"):
        DelayedMessage(channel_name="out", content="{}").send(layer)


def test_a_content_that_cannot_travel_is_refused_at_save():
    with pytest.raises(TypeError, match="cannot travel"):
        make(content={"x": object()})


@pytest.mark.django_db(transaction=True)
def test_nothing_is_sent_when_the_row_cannot_be_removed(layer, pending):
    message = make()

    def refuse(execute, sql, params, many, context):
        if sql.startswith("DELETE"):
            raise DatabaseError("read-only")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(refuse), pytest.raises(DatabaseError):
        message.send(layer)
    assert pending("out") == 0
    assert DelayedMessage.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_the_table_of_a_1x_project_is_taken_over_with_its_messages(layer):
    """``migrate --fake-initial`` keeps the rows, and adds the index that 1.x lacked."""
    call_command("migrate", "channels_delay", "zero", verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute(
            'CREATE TABLE "channels.delay_delayedmessage" ("id" integer PRIMARY KEY AUTOINCREMENT,'
            ' "due_date" datetime NOT NULL, "channel_name" varchar(512) NOT NULL,'
            ' "content" text NOT NULL)'
        )
        cursor.execute(
            'INSERT INTO "channels.delay_delayedmessage" VALUES '
            "(7, '2017-01-01 00:00:00', 'out', '{\"old\": true}')"
        )
    call_command("migrate", "channels_delay", fake_initial=True, verbosity=0)
    assert DelayedMessage.objects.is_due().get().send(layer)
    assert layer.receive(["out"]) == ("out", {"old": True})
    with connection.cursor() as cursor:
        constraints = connection.introspection.get_constraints(
            cursor, DelayedMessage._meta.db_table
        )
    assert constraints["channels_delay_due_date"]["columns"] == ["due_date"]
