"""System checks: mistakes in the settings that would show only later, or as something else."""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage, Error, Warning
from django.core.management import get_commands, load_command_class

from .asgi import channel_layers
from .exceptions import InvalidChannelLayerError
from .utils import import_configured

#: What an entry of ``CHANNEL_LAYERS`` may have.
KEYS = {"BACKEND", "CONFIG", "ROUTING", "TEST_CONFIG"}


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
    found: list[CheckMessage] = []
    try:
        configs = channel_layers.configs
    except InvalidChannelLayerError as error:
        return [Error(str(error), id="channels.E002")]
    for alias, config in configs.items():
        try:
            channel_layers[alias]
        except InvalidChannelLayerError as error:
            found.append(Error(str(error), id="channels.E002"))
        else:
            found += _check_keys(alias, config)
    return found


def _check_keys(alias: str, config: dict[str, Any]) -> list[CheckMessage]:
    unknown = sorted(map(str, set(config) - KEYS))
    if not unknown:
        return []
    return [
        Warning(
            f"CHANNEL_LAYERS[{alias!r}] has {unknown}, which nothing reads.",
            hint="Put the keywords of the layer into its CONFIG.",
            id="channels.W002",
        )
    ]
