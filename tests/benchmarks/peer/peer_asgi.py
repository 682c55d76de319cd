"""The site's ASGI application; ``BENCHMARK_CONSUMERS`` says which consumers it runs."""

import os

import django

django.setup()

from django.urls import path  # noqa: E402
from peer_consumers import (  # noqa: E402
    AsyncEcho,
    AsyncMember,
    AsyncTrigger,
    Echo,
    Member,
    Trigger,
)

from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402

CONSUMERS = {
    "sync": (Member, Trigger, Echo),
    "async": (AsyncMember, AsyncTrigger, AsyncEcho),
}
member, trigger, echo = CONSUMERS[os.environ["BENCHMARK_CONSUMERS"]]

application = ProtocolTypeRouter(
    {
        "websocket": URLRouter(
            [
                path("members/", member.as_asgi()),
                path("trigger/", trigger.as_asgi()),
                path("", echo.as_asgi()),
            ]
        )
    }
)
