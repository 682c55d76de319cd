"""What commands share that serve a channel layer in a process of their own."""

from __future__ import annotations

from argparse import ArgumentParser

from django.core.management.base import CommandError

from channels.asgi import DEFAULT_CHANNEL_LAYER, ChannelLayerWrapper, channel_layers
from channels.exceptions import InvalidChannelLayerError


def add_layer_argument(parser: ArgumentParser) -> None:
    """Add ``--layer``."""
    parser.add_argument(
        "--layer",
        default=DEFAULT_CHANNEL_LAYER,
        help="Alias of the channel layer, 'default' unless given.",
    )


def configured_layer(alias: str) -> ChannelLayerWrapper:
    """The layer of ``alias``; raises ``CommandError`` for one that cannot be used."""
    try:
        return channel_layers[alias]
    except (KeyError, InvalidChannelLayerError) as error:
        raise CommandError(error.args[0]) from error


def shared_layer(alias: str, server: str, remedy: str) -> ChannelLayerWrapper:
    """The layer of ``alias``, as ``configured_layer``.

    Also raises ``CommandError`` for one whose messages do not leave their process, saying that
    ``server`` would get none and what the ``remedy`` is.
    """
    layer = configured_layer(alias)
    if layer.local_only():
        raise CommandError(
            f"The channel layer {layer} is seen by one process only, so that {server} would "
            f"never get a message: {remedy}."
        )
    return layer
