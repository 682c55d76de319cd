from django.apps import AppConfig
from django.core.checks import register

from .binding.checks import check_bindings
from .binding.registry import registry
from .checks import check_channel_layers, check_runserver


class ChannelsConfig(AppConfig):
    name = "channels"
    verbose_name = "Channels"

    def ready(self) -> None:
        register(check_runserver)
        register(check_channel_layers)
        register(check_bindings)
        registry.register_all()
