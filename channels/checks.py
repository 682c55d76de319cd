"""System checks: mistakes in the settings that would show only later, or as something else."""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage, Error
from django.core.management import get_commands, load_command_class

from .asgi import channel_layers
from .exceptions import InvalidChannelLayerError
from .utils import import_configured


def check_runserver(**kwargs: Any) -> list[CheckMessage]:
    """``runserver`` must be ours, or a command built on ours."""
    ours = import_configured("channels.management.commands.runserver.Command", "command")
    app = get_commands()["runserver"]
    command = load_command_class(app, "runserver") if isinstance(app, str) else app
    if isinstance(command, ours):
        return []
    return [
        Error(
            f"'channels' is in INSTALLED_APPS, but the runserver command is that of '{app}', "
            "which serves no WebSockets.",
            hint=f"Put 'channels' before '{app}' in INSTALLED_APPS.",
            id="channels.E001",
        )
    ]


def check_channel_layers(**kwargs: Any) -> list[CheckMessage]:
    """Every entry of ``CHANNEL_LAYERS`` must make a layer."""
    errors: list[CheckMessage] = []
    for alias in channel_layers.configs:
        try:
            channel_layers[alias]
        except InvalidChannelLayerError as error:
            errors.append(Error(str(error), id="channels.E002"))
    return errors
