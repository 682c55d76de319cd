from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError

from channels import DEFAULT_CHANNEL_LAYER, channel_layers
from channels.asgi import ChannelLayerWrapper
from channels.exceptions import InvalidChannelLayerError
from channels.log import setup_logger
from channels.staticfiles import default_http_consumer
from channels.worker import Worker, WorkerGroup


class Command(BaseCommand):
    help = "Runs consumers: the other half of the interface server that holds the sockets."
    leave_locale_alone = True

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--layer",
            default=DEFAULT_CHANNEL_LAYER,
            help="Alias of the channel layer to serve.",
        )
        parser.add_argument(
            "--only-channels",
            action="append",
            help="Serve only the channels that match this glob; may be given several times.",
        )
        parser.add_argument(
            "--exclude-channels",
            action="append",
            help="Do not serve the channels that match this glob; may be given several times.",
        )
        parser.add_argument(
            "--threads", type=int, default=1, help="How many consumers may run at once."
        )
        parser.add_argument(
            "--disable-graceful-stop",
            action="store_true",
            help="Accepted for old scripts, without effect: stopping is always graceful.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        logger = setup_logger("django.channels", options["verbosity"])
        layer = _usable_layer(options["layer"])
        worker = _make_worker(layer, options)
        channels = worker.apply_channel_filters(layer.router.channels)
        if not channels:
            raise CommandError(
                "No channel is left to serve: --only-channels and --exclude-channels leave out "
                f"all of {', '.join(sorted(layer.router.channels))}."
            )
        logger.info("Running %d worker thread(s) on channel layer %s", options["threads"], layer)
        logger.info("Listening on channels %s", ", ".join(channels))
        worker.ready()
        worker.run()


def _usable_layer(alias: str) -> ChannelLayerWrapper:
    try:
        layer = channel_layers[alias]
        if layer.local_only():
            raise CommandError(
                f"The channel layer {layer} is seen by one process only, so that a worker process "
                "would never get a message: use runserver, which has workers of its own, or a "
                "layer such as channels.layers.redis.RedisChannelLayer."
            )
        layer.router.check_default(http_consumer=default_http_consumer())
    except (KeyError, InvalidChannelLayerError, ImproperlyConfigured) as error:
        raise CommandError(error.args[0]) from error
    return layer


def _make_worker(layer: ChannelLayerWrapper, options: dict[str, Any]) -> Worker:
    if options["threads"] < 1:
        raise CommandError(f"--threads must be 1 or more, not {options['threads']}.")
    arguments = {
        "channel_layer": layer,
        "only_channels": options["only_channels"],
        "exclude_channels": options["exclude_channels"],
    }
    if options["threads"] == 1:
        return Worker(**arguments)
    return WorkerGroup(**arguments, n_threads=options["threads"])
