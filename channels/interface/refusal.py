"""Plain answers of the interface server itself, when no worker gives one."""

from __future__ import annotations

from http import HTTPStatus

from .events import Scope, Send

#: Seconds after which a client may try again, as 503 tells it.
RETRY_AFTER = 5

#: The ASGI extension that answers a handshake with something else than a bare 403.
DENIAL_RESPONSE = "websocket.http.response"


async def respond(send: Send, status: int, prefix: str = "http.response") -> int:
    """Send a short response with ``status``; returns the bytes of its body."""
    body = f"{status} {HTTPStatus(status).phrase}\n".encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
    ]
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers.append((b"retry-after", str(RETRY_AFTER).encode()))
    await send({"type": f"{prefix}.start", "status": status, "headers": headers})
    await send({"type": f"{prefix}.body", "body": body, "more_body": False})
    return len(body)


async def refuse(scope: Scope, send: Send, status: int) -> None:
    """Refuse a handshake: with ``status`` where the ASGI server can say it, else with 403."""
    if status != HTTPStatus.FORBIDDEN and DENIAL_RESPONSE in (scope.get("extensions") or {}):
        await respond(send, status, DENIAL_RESPONSE)
    else:
        await send({"type": "websocket.close"})
