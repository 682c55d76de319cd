"""Settings of the worker processes that the tests start."""

from tests.settings import *  # noqa: F403

CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "tests.core.worker_project.SharedLayer",
        "ROUTING": "tests.core.worker_project.routing",
    },
    "local": {"BACKEND": "channels.layers.InMemoryChannelLayer", "ROUTING": []},
}
