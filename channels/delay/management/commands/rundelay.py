from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from channels.delay.worker import Worker
from channels.log import setup_logger
from channels.management.layers import add_layer_argument, shared_layer


class Command(BaseCommand):
    help = "Runs the delay server: it keeps messages in the database until they are due."
    leave_locale_alone = True

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_layer_argument(parser)
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
        layer = shared_layer(
            options["layer"],
            "the delay server",
            "use a layer such as channels.layers.redis.RedisChannelLayer",
        )
        logger.info("Running the delay server on channel layer %s", layer)
        Worker(channel_layer=layer, database_sleep_duration=options["sleep"]).run()
