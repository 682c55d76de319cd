"""A small site to measure: settings, URLs and routing in one module."""

import os

from django.http import HttpRequest, HttpResponse
from django.urls import path

from channels import Group, route
from channels.message import Message

SECRET_KEY = "only for benchmarks"
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = ["channels"]
ROOT_URLCONF = __name__
DATABASES: dict[str, object] = {}
USE_TZ = True

REDIS_URL = os.environ.get("CHANNELS_REDIS_URL")
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels.layers.redis.RedisChannelLayer"
        if REDIS_URL
        else "channels.layers.InMemoryChannelLayer",
        "CONFIG": {"hosts": [REDIS_URL]} if REDIS_URL else {},
        "ROUTING": f"{__name__}.routing",
    }
}


def hello(request: HttpRequest) -> HttpResponse:
    return HttpResponse("hello")


def join(message: Message) -> None:
    Group("everybody").add(message.reply_channel)
    message.reply_channel.send({"accept": True})


def tell_everybody(message: Message) -> None:
    Group("everybody").send({"text": message["text"]})


def echo(message: Message) -> None:
    message.reply_channel.send({"text": message["text"]})


def leave(message: Message) -> None:
    Group("everybody").discard(message.reply_channel)


urlpatterns = [path("", hello)]
routing = [
    route("websocket.connect", join, path="^/members/$"),
    route("websocket.disconnect", leave, path="^/members/$"),
    route("websocket.receive", tell_everybody, path="^/trigger/$"),
    route("websocket.receive", echo),
]
