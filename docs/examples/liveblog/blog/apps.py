from threading import Thread

from django.apps import AppConfig

from channels.signals import worker_process_ready


class BlogConfig(AppConfig):
    name = "blog"

    def ready(self):
        # Every process that saves a post needs the binding, also one that never needs a routing.
        from . import bindings  # noqa: F401

        worker_process_ready.connect(run_delay_server, dispatch_uid="blog")


def run_delay_server(sender, **kwargs):
    """On a layer in memory, which ``rundelay`` cannot reach, run its server beside the workers."""
    from channels.delay.worker import Worker

    if sender.channel_layer.local_only():
        server = Worker(sender.channel_layer, signal_handlers=False)
        Thread(target=server.run, name="delay", daemon=True).start()
