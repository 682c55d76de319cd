"""Settings of the processes that look at a layer of the tests."""

import json
import os

from tests.settings import *  # noqa: F403

CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels.layers.redis.RedisChannelLayer",
        "CONFIG": json.loads(os.environ["LAYER_CONFIG"]),
        "ROUTING": [],
    },
    "broken": {"BACKEND": "no.such.Layer"},
}
