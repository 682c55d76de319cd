from django.apps import AppConfig


class DashboardConfig(AppConfig):
    name = "tests.ports.dashboard"
    verbose_name = "Dashboard"

    def ready(self):
        from . import bindings, signals  # noqa: F401
