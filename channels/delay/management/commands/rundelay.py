from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from channels import DEFAULT_CHANNEL_LAYER, channel_layers
from channels.asgi import ChannelLayerWrapper
from channels.delay.worker import Worker
from channels.exceptions import InvalidChannelLayerError
from channels.log import setup_logger


class Command(BaseCommand):
    help = "Runs the delay server: it keeps messages in the database until they are due."
    leave_locale_alone = True

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--layer",
            default=DEFAULT_CHANNEL_LAYER,
            help="Alias of the channel layer to serve.",
        )
        parser.add_argument(
            "--sleep",
            type=float,
            default=1,
            help="Seconds between two looks for messages that others put into the database.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        logger = setup_logger("django.channels", options["verbosity"])
        if not options["sleep"] > 0:
            raise CommandError(f"--sleep must be more than 0, not {options['sleep']}.")
        layer = _usable_layer(options["layer"])
        logger.info("Running the delay server on channel layer %s", layer)
        Worker(channel_layer=layer, database_sleep_duration=options["sleep"]).run()


def _usable_layer(alias: str) -> ChannelLayerWrapper:
    try:
        layer = channel_layers[alias]
    except (KeyError, InvalidChannelLayerError) as error:
        raise CommandError(error.args[0]) from error
    if layer.local_only():
        raise CommandError(
            f"The channel layer {layer} is seen by one process only, so that the delay server "
            "would never get a message: use a layer such as "
            "channels.layers.redis.RedisChannelLayer."
        )
    return layer
