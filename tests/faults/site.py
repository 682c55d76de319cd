"""A small site whose processes are to survive faults: settings and routing in one module.

What its consumers do is written to a file, each event as one line, so that it can be counted
whatever happens to Redis and to the process.
"""

from __future__ import annotations

import json
import os
import time

from channels import Channel, Group, route
from channels.message import Message

SECRET_KEY = "only for tests"
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = ["channels"]
ROOT_URLCONF = "tests.urls"
DATABASES: dict[str, object] = {}
USE_TZ = True

#: The key that the processes of this site have.
KEY = "the right key"

CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels.layers.redis.RedisChannelLayer",
        "CONFIG": {
            "hosts": [os.environ.get("CHANNELS_REDIS_URL", "redis://127.0.0.1:1")],
            "symmetric_encryption_keys": [KEY],
        },
        "ROUTING": f"{__name__}.routing",
    }
}
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "loggers": {
        name: {"handlers": ["stderr"], "level": "INFO", "propagate": False}
        for name in ("django.channels", "channels")
    },
}

#: Seconds that the work of one message takes: long enough for a signal to come in between.
WORK_SECONDS = 0.002


def record(event: str, subject: object) -> None:
    """Write it down before anything else happens: a process may be killed at any time."""
    line = json.dumps([event, subject]) + "\n"
    file = os.open(os.environ["FAULTS_RECORD"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        os.write(file, line.encode())
    finally:
        os.close(file)


def connect(message: Message, group: str) -> None:
    record("connect", message.reply_channel.name)
    Group(group).add(message.reply_channel)
    message.reply_channel.send({"accept": True})


def echo(message: Message) -> None:
    record("receive", message["text"])
    message.reply_channel.send({"text": message["text"]})


def tell(message: Message, group: str) -> None:
    """Send what a socket says to a group."""
    record("receive", message["text"])
    Group(group).send({"text": message["text"]})


def disconnect(message: Message, group: str) -> None:
    record("disconnect", message.reply_channel.name)
    Group(group).discard(message.reply_channel)


def work(message: Message) -> None:
    record("begin", message["n"])
    time.sleep(WORK_SECONDS)
    Channel("results").send({"n": message["n"]})


routing = [
    route("websocket.connect", connect, path=r"^/\w+/(?P<group>\w+)/$"),
    route("websocket.receive", tell, path=r"^/tell/(?P<group>\w+)/$"),
    route("websocket.receive", echo),
    route("websocket.disconnect", disconnect, path=r"^/\w+/(?P<group>\w+)/$"),
    route("work", work),
]
