"""The settings of the delay servers that the tests start; the test names files and servers."""

import json
import os

from tests.settings import *  # noqa: F403

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ["DELAY_DATABASE"],
        "OPTIONS": {"timeout": 30},  # seconds to wait for the other server's lock
    }
}
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels.layers.redis.RedisChannelLayer",
        "CONFIG": json.loads(os.environ["DELAY_LAYER"]),
        "ROUTING": [],
    }
}
