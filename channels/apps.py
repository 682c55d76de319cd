from django.apps import AppConfig
from django.core.checks import register

from .checks import check_channel_layers, check_runserver


class ChannelsConfig(AppConfig):
    name = "channels"
    verbose_name = "Channels"

    def ready(self) -> None:
        register(check_runserver)
        register(check_channel_layers)
