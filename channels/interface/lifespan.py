"""Start and end of the ASGI server, as far as it tells."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from .events import Receive, Send


async def run(
    receive: Receive, send: Send, start: Callable[[], None], stop: Callable[[], Awaitable[None]]
) -> None:
    """Answer the lifespan events: ``start`` at the startup, ``stop`` at the shutdown.

    Some servers (uvicorn) have closed the sockets with 1012 by then, and waited for their
    tasks; then ``stop`` only delivers what the layer does not know yet. Others leave all of
    it to the application.
    """
    while True:
        event = await receive()
        if event["type"] == "lifespan.startup":
            start()
            await send({"type": "lifespan.startup.complete"})
        elif event["type"] == "lifespan.shutdown":
            await stop()
            await send({"type": "lifespan.shutdown.complete"})
            return
