"""Live server tests with routes that are given by an override."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.models import User
from django.test import override_settings
from websockets.sync.client import connect

from channels import route
from channels.message import Message
from channels.test import ChannelLiveServerTestCase


def count_users(message: Message) -> None:
    assert message.reply_channel is not None
    text = f"{User.objects.count()} users"
    message.reply_channel.send({"accept": True, "text": text})


@override_settings(
    CHANNEL_LAYERS={
        "default": {
            **settings.CHANNEL_LAYERS["default"],
            "ROUTING": [route("websocket.connect", count_users)],
        }
    }
)
class TestOverriddenRouting(ChannelLiveServerTestCase):
    def test_consumers_that_need_models_can_be_given_by_an_override(self) -> None:
        with connect(f"{self.live_server_ws_url}/") as socket:
            assert socket.recv(timeout=20) == "0 users"
