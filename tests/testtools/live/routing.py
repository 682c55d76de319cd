import os
import signal
from typing import Any

from django.contrib.auth.models import User

from channels import Group, route
from channels.message import Message


def connect(message: Message) -> None:
    assert message.reply_channel is not None
    message.reply_channel.send({"accept": True, "text": "welcome"})
    Group("all").add(message.reply_channel)


def receive(message: Message) -> None:
    Group("all").send({"text": message["text"]})


def die(message: Message, **kwargs: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fail(message: Message) -> None:
    User.objects.create(username="about to fail")
    raise LookupError("this consumer always fails")


routing = [
    route("websocket.connect", connect, path="^/chat$"),
    route("websocket.receive", receive),
    route("test.die", die),
    route("test.fail", fail),
]
