"""The site to compare with, for the asynchronous Channels 4: settings, consumers and routing.

It is no part of the package ``tests``: it runs in an environment of its own, whose package
``channels`` is the other one.
"""

import os
from typing import Any

SECRET_KEY = "only for benchmarks"
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = ["channels"]
ROOT_URLCONF = __name__
DATABASES: dict[str, object] = {}
USE_TZ = True

#: Without these, the defaults of redis-py 8 (5 seconds to answer, 100 connections) end sockets
#: that are idle, as channels_redis itself waits for 5 seconds, and some of many that leave.
HOST = {
    "address": os.environ["CHANNELS_REDIS_URL"],
    "socket_timeout": None,
    "max_connections": 10_000,
}

CHANNEL_LAYERS: dict[str, dict[str, Any]] = {
    "default": {
        "BACKEND": os.environ["BENCHMARK_LAYER"],
        "CONFIG": {"hosts": [HOST]},
    }
}

urlpatterns: list[object] = []
