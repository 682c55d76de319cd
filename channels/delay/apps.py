from django.apps import AppConfig


class DelayConfig(AppConfig):
    name = "channels.delay"
    label = "channels_delay"  # Django takes no label with a dot
    verbose_name = "Channels: delayed messages"
    default_auto_field = "django.db.models.BigAutoField"
