"""What the sockets of the site do, each in a synchronous and in an asynchronous way."""

from typing import Any

from asgiref.sync import async_to_sync
from channels.generic.websocket import AsyncWebsocketConsumer, WebsocketConsumer

GROUP = "everybody"


class Member(WebsocketConsumer):
    groups = [GROUP]  # noqa: RUF012

    def group_text(self, event: dict[str, Any]) -> None:
        self.send(text_data=event["text"])


class Trigger(WebsocketConsumer):
    def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        message = {"type": "group.text", "text": text_data}
        async_to_sync(self.channel_layer.group_send)(GROUP, message)


class Echo(WebsocketConsumer):
    def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        self.send(text_data=text_data)


class AsyncMember(AsyncWebsocketConsumer):
    groups = [GROUP]  # noqa: RUF012

    async def group_text(self, event: dict[str, Any]) -> None:
        await self.send(text_data=event["text"])


class AsyncTrigger(AsyncWebsocketConsumer):
    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        await self.channel_layer.group_send(GROUP, {"type": "group.text", "text": text_data})


class AsyncEcho(AsyncWebsocketConsumer):
    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        await self.send(text_data=text_data)
