"""Consumers and routings that tests name by dotted path."""

from __future__ import annotations

from typing import Any

from channels import route
from channels.message import Message


def consumer(message: Message, **kwargs: Any) -> None:
    pass


not_callable = 5
routing = [route("listed", consumer)]
routing_dict = {"mapped": "tests.core.consumers.consumer"}
