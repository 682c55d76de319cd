from ..base_settings import *  # noqa: F403
from ..base_settings import INSTALLED_APPS, PREFIX, REDIS_ADDRESS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.ports.chat"]
ROOT_URLCONF = "tests.ports.chat.urls"
CHANNEL_SESSION_ENGINE = "django.contrib.sessions.backends.db"
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "asgi_redis.RedisChannelLayer",
        # Nobody listens there: who does not use the layer of the tests fails.
        "CONFIG": {"hosts": [("127.0.0.1", 1)]},
        "TEST_CONFIG": {"hosts": [REDIS_ADDRESS], "prefix": PREFIX},
        "ROUTING": "tests.ports.chat.routing.channel_routing",
    },
}
