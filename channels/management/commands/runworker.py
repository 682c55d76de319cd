from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError

from channels.asgi import ChannelLayerWrapper
from channels.log import setup_logger
from channels.management.layers import add_layer_argument, shared_layer
from channels.staticfiles import default_http_consumer
from channels.worker import Worker, WorkerGroup


class Command(BaseCommand):
    help = "Runs consumers: the other half of the interface server that holds the sockets."
    leave_locale_alone = True

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_layer_argument(parser)
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
        layer = _routed_layer(options["layer"])
        worker = _make_worker(layer, options)
        channels = worker.apply_channel_filters(layer.router.channels)
        if not channels:
            raise CommandError(
                "No channel is left to serve: --only-channels and --exclude-channels leave out "
                f"all of {', '.join(sorted(layer.router.channels))}."
            )
        # Whoever reads that the worker listens may stop it at once.
        worker.install_signal_handler()
        logger.info("Running %d worker thread(s) on channel layer %s", options["threads"], layer)
        logger.info("Listening on channels %s", ", ".join(channels))
        worker.ready()
        worker.run()


def _routed_layer(alias: str) -> ChannelLayerWrapper:
    layer = shared_layer(
        alias,
        "a worker process",
        "use runserver, which has workers of its own, or a layer such as "
        "channels.layers.redis.RedisChannelLayer",
    )
    try:
        layer.router.check_default(http_consumer=default_http_consumer())
    except ImproperlyConfigured as error:
        raise CommandError(str(error)) from error
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
