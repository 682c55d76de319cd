"""What a worker process of the tests serves: it talks with the test through its pipes."""

from __future__ import annotations

import atexit
import json
import os
import signal
import sys
import threading
import time
from typing import Any

from django.dispatch import receiver

from channels import route
from channels.layers import InMemoryChannelLayer
from channels.message import Message
from channels.signals import worker_process_ready

group: Any = None

#: How many messages wait when the worker starts.
MESSAGES = 5


def tell(**event: Any) -> None:
    sys.stdout.write(json.dumps(event) + "\n")  # in one piece: threads write at once
    sys.stdout.flush()


class SharedLayer(InMemoryChannelLayer):
    """Says that other processes see its messages, and has some from the start."""

    local_only = False

    def __init__(self) -> None:
        super().__init__()
        for n in range(MESSAGES):
            self.send("work", {"n": n})
        atexit.register(self.tell_rest)

    def receive(self, channels: Any, block: bool = False) -> Any:
        name, content = super().receive(channels, block)
        if content and os.environ.get("SIGNAL_BETWEEN_POP_AND_DISPATCH"):
            os.kill(os.getpid(), signal.SIGTERM)
        return name, content

    def tell_rest(self) -> None:
        tell(event="rest", count=self.channel_statistics("work")["messages_pending"])


@receiver(worker_process_ready)
def keep(sender: Any, **kwargs: Any) -> None:
    """Keep the worker group, so that a consumer sees when the signal has come through."""
    global group
    group = sender


stdin_lock = threading.Lock()


def consumer(message: Message) -> None:
    """Works until the test sends a line."""
    tell(event="started", n=message["n"])
    with stdin_lock:  # as text files are not safe with threads
        order = sys.stdin.readline().strip()
    if order == "die":
        sys.exit(0)
    while order == "go on when stopped" and not all(w.termed for w in group.sub_workers):
        time.sleep(0.01)
    tell(event="finished", n=message["n"])


routing = [route("work", consumer)]
