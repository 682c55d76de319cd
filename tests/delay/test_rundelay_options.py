import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings


def test_a_layer_of_one_process_is_refused():
    with pytest.raises(CommandError, match=r"seen by one process only.*RedisChannelLayer"):
        call_command("rundelay")


def test_an_unknown_layer_is_refused_by_name():
    with pytest.raises(CommandError, match="no channel layer 'other'"):
        call_command("rundelay", layer="other")


@override_settings(CHANNEL_LAYERS={"default": {"BACKEND": "nowhere.Layer", "ROUTING": []}})
def test_a_layer_that_cannot_be_made_is_refused_with_the_reason():
    with pytest.raises(CommandError, match=r"nowhere\.Layer"):
        call_command("rundelay")


@pytest.mark.parametrize("sleep", ["0", "-1", "nan"])
def test_a_sleep_that_would_never_end_or_never_begin_is_refused(sleep):
    with pytest.raises(CommandError, match="--sleep must be more than 0"):
        call_command("rundelay", f"--sleep={sleep}")
