from ..base_settings import *  # noqa: F403
from ..base_settings import INSTALLED_APPS, PREFIX, REDIS_ADDRESS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.ports.dashboard"]
ROOT_URLCONF = "tests.ports.dashboard.urls"
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "asgi_redis.RedisChannelLayer",
        "CONFIG": {"hosts": ["redis://127.0.0.1:1/0"]},
        "TEST_CONFIG": {
            "hosts": ["redis://%s:%d/0" % REDIS_ADDRESS],
            "prefix": PREFIX,
            "channel_capacity": {"websocket.send*": 500},
        },
        "ROUTING": "tests.ports.dashboard.routing.channel_routing",
    },
}
