"""System checks, the logger of the commands, and small helpers."""

from __future__ import annotations

import functools
import io
import logging
from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from channels.checks import check_channel_layers, check_runserver
from channels.conf import allowed_hosts, allowed_origins, ws_protocols
from channels.log import setup_logger
from channels.utils import as_text, name_that_thing

from .consumers import consumer
from .test_asgi import entry

STATICFILES = "django.contrib.staticfiles"


def test_channels_before_staticfiles_is_right() -> None:
    with override_settings(INSTALLED_APPS=["channels", STATICFILES]):
        assert check_runserver() == []


def test_channels_after_staticfiles_is_an_error_that_says_what_to_do() -> None:
    apps = ["django.contrib.auth", "django.contrib.contenttypes", STATICFILES, "channels"]
    with override_settings(INSTALLED_APPS=apps):
        [error] = check_runserver()
        assert error in run_checks()
    assert error.id == "channels.E001"
    assert error.is_serious()
    assert STATICFILES in error.msg
    assert error.hint == f"Put 'channels' before '{STATICFILES}' in INSTALLED_APPS."


def test_channels_without_staticfiles_is_right() -> None:
    with override_settings(INSTALLED_APPS=["channels"]):
        assert check_runserver() == []


def test_layers_that_can_be_made_are_right() -> None:
    assert check_channel_layers() == []


def test_a_setting_that_is_no_dict_of_dicts_is_an_error() -> None:
    for layers in ([entry()], {"default": "no.such.Layer"}):
        with override_settings(CHANNEL_LAYERS=layers):
            [error] = check_channel_layers()
        assert error.id == "channels.E002"


def test_a_key_that_belongs_into_config_is_a_warning() -> None:
    with override_settings(CHANNEL_LAYERS={"one": entry(HOSTS=["redis://x"], TEST_CONFIG={})}):
        [warning] = check_channel_layers()
    assert warning.id == "channels.W002"
    assert not warning.is_serious()
    assert "'HOSTS'" in warning.msg
    assert "CONFIG" in warning.hint


def test_a_layer_that_cannot_be_made_is_an_error() -> None:
    layers = {"good": entry(), "bad": entry(BACKEND="no.such.Layer"), "worse": {}}
    with override_settings(CHANNEL_LAYERS=layers):
        errors = check_channel_layers()
        assert [found for found in run_checks() if found in errors] == errors
    assert [error.id for error in errors] == ["channels.E002"] * 2
    assert "'bad'" in errors[0].msg
    assert "'worse'" in errors[1].msg


# The logger


@pytest.mark.parametrize(
    ("verbosity", "shown"),
    [
        (0, ["warning"]),
        (1, ["info", "warning"]),
        (2, ["info", "warning"]),
        (3, ["debug", "info", "warning"]),
    ],
)
def test_the_logger_shows_as_much_as_the_verbosity_says(
    unchanged_logger: logging.Logger, verbosity: int, shown: list[str]
) -> None:
    assert setup_logger("django.channels", verbosity) is unchanged_logger
    [handler] = unchanged_logger.handlers
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(out := io.StringIO())
    for level in ("debug", "info", "warning"):
        getattr(unchanged_logger, level)("a %s", level)
    assert [line.rpartition(" ")[2] for line in out.getvalue().splitlines()] == shown


def test_the_projects_own_level_and_handlers_are_respected(
    unchanged_logger: logging.Logger,
) -> None:
    handler = logging.NullHandler()
    unchanged_logger.addHandler(handler)
    unchanged_logger.setLevel(logging.ERROR)
    setup_logger("django.channels", 3)
    assert unchanged_logger.handlers == [handler]
    assert unchanged_logger.level == logging.ERROR
    assert unchanged_logger.propagate is True


@pytest.mark.parametrize("debug", [True, False])
def test_the_projects_other_handlers_see_the_log_in_production(
    unchanged_logger: logging.Logger, settings: Any, debug: bool
) -> None:
    settings.DEBUG = debug
    setup_logger("django.channels")
    assert unchanged_logger.propagate is not debug


def test_setting_the_logger_up_twice_adds_one_handler(unchanged_logger: logging.Logger) -> None:
    setup_logger("django.channels")
    setup_logger("django.channels")
    assert len(unchanged_logger.handlers) == 1


# Helpers


class Thing:
    def method(self) -> None:
        pass


@pytest.mark.parametrize(
    ("thing", "name"),
    [
        (consumer, "tests.core.consumers.consumer"),
        (Thing, "tests.core.test_checks.Thing"),
        (Thing(), "tests.core.test_checks.Thing"),
        (Thing().method, "tests.core.test_checks.Thing.method"),
        (functools.partial(consumer), "functools.partial"),
        (5, "builtins.int"),
    ],
)
def test_name_that_thing(thing: Any, name: str) -> None:
    assert name_that_thing(thing) == name


def test_as_text() -> None:
    assert as_text("é") == as_text("é".encode()) == "é"
    assert as_text(b"\xff") == "\ufffd"


# Settings


@pytest.mark.parametrize(
    ("debug", "hosts", "expected"),
    [
        (True, [], [".localhost", "127.0.0.1", "[::1]"]),
        (True, ["a"], ["a"]),
        (False, [], []),
    ],
)
def test_allowed_hosts_are_this_machine_with_debug(
    settings: Any, debug: bool, hosts: list[str], expected: list[str]
) -> None:
    settings.DEBUG, settings.ALLOWED_HOSTS = debug, hosts
    assert allowed_hosts() == expected


def test_lists_in_settings_may_be_absent_but_not_strings(settings: Any) -> None:
    assert allowed_origins() is None
    assert ws_protocols() == []
    settings.CHANNELS_WS_PROTOCOLS = ("a", "b")
    assert ws_protocols() == ["a", "b"]
    settings.CHANNELS_ALLOWED_ORIGINS = "example.com"
    with pytest.raises(ImproperlyConfigured, match=r"must be a list.*\['example\.com'\]"):
        allowed_origins()
