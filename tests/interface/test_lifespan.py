"""The application's entrance, its start and its end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from channels.interface import http, runtime
from channels.layers import InMemoryChannelLayer

from .asgi_client import Connection


async def start(site: Any) -> Connection:
    lifespan = Connection(site.application, {"type": "lifespan"})
    lifespan.give("lifespan.startup")
    assert (await lifespan.take())["type"] == "lifespan.startup.complete"
    return lifespan


async def test_a_shutdown_closes_sockets_with_1012_and_disconnects_them(site: Any) -> None:
    lifespan = await start(site)
    socket, connect = await site.open_socket()
    handshake = site.socket(extensions={"websocket.http.response": {}})
    await site.worker.take("websocket.connect")
    lifespan.give("lifespan.shutdown")
    assert (await socket.take())["code"] == 1012
    assert (await handshake.take())["status"] == 503
    assert (await lifespan.take())["type"] == "lifespan.shutdown.complete"
    await lifespan.ended()
    codes = {m["reply_channel"]: m["code"] for m in site.worker.waiting("websocket.disconnect")}
    assert codes.pop(connect["reply_channel"]) == 1012
    assert list(codes.values()) == [1006]


async def test_after_the_shutdown_nothing_is_taken(site: Any) -> None:
    lifespan = await start(site)
    lifespan.give("lifespan.shutdown")
    await lifespan.ended()
    assert (await site.http().response())[0] == 503
    socket = site.socket(extensions={"websocket.http.response": {}})
    assert (await socket.take())["status"] == 503
    await socket.ended()
    assert site.worker.waiting("http.request") == []
    assert site.worker.waiting("websocket.connect") == []


async def test_requests_without_an_answer_get_503_and_the_others_may_finish(
    site: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(http, "SHUTDOWN_GRACE", 0.05)
    lifespan = await start(site)
    waiting, streaming = site.http(path="/waiting"), site.http(path="/streaming")
    for _ in range(2):
        message = await site.worker.take("http.request")
        if message["path"] == "/streaming":
            site.worker.reply(message, status=200, content=b"a", more_content=True)
            reply_channel = message["reply_channel"]
    await streaming.take()
    await streaming.take()
    lifespan.give("lifespan.shutdown")
    assert (await waiting.response())[0] == 503
    site.layer.send(reply_channel, {"content": b"b"})
    assert (await streaming.take())["body"] == b"b"
    await lifespan.ended()


async def test_a_shutdown_is_bounded(make_site: Any, monkeypatch: Any, caplog: Any) -> None:
    monkeypatch.setattr(runtime, "SHUTDOWN_PATIENCE", 0.1)
    site = make_site(InMemoryChannelLayer(channel_capacity={"websocket.disconnect": 1}))
    site.layer.send("websocket.disconnect", {})
    lifespan = await start(site)
    await site.open_socket()
    lifespan.give("lifespan.shutdown")
    await lifespan.ended()
    assert "1 last messages undelivered" in caplog.text


async def test_a_disconnect_that_waits_is_delivered_by_the_shutdown(make_site: Any) -> None:
    site = make_site(InMemoryChannelLayer(channel_capacity={"websocket.disconnect": 1}))
    site.layer.send("websocket.disconnect", {"code": 0})
    lifespan = await start(site)
    socket, _ = await site.open_socket()
    socket.task.cancel()
    await asyncio.wait({socket.task})
    lifespan.give("lifespan.shutdown")
    await asyncio.sleep(0.02)
    assert (await site.worker.take("websocket.disconnect"))["code"] == 0
    await lifespan.ended()
    assert (await site.worker.take("websocket.disconnect"))["code"] == 1006


async def test_the_application_can_be_started_again(site: Any) -> None:
    for _ in range(2):
        lifespan = await start(site)
        client = site.http()
        site.worker.reply(await site.worker.take("http.request"), status=200, content=b"")
        assert (await client.response())[0] == 200
        lifespan.give("lifespan.shutdown")
        await lifespan.ended()


async def test_plain_http_can_go_to_another_application(make_site: Any) -> None:
    async def elsewhere(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 418, "headers": []})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    site = make_site(http=elsewhere)
    assert (await site.http().response())[0] == 418
    assert site.worker.waiting("http.request") == []
    socket, _ = await site.open_socket()
    socket.leave()
    await socket.ended()


async def test_an_unknown_scope_is_named(site: Any) -> None:
    connection = Connection(site.application, {"type": "smtp"})
    with pytest.raises(ValueError, match="'smtp'"):
        await connection.ended()


async def test_state_shows_in_repr(site: Any) -> None:
    socket, _ = await site.open_socket()
    live = next(iter(site.application._runtime()._connections))
    assert repr(live) == "<Socket '/' open delivered=1>"
    socket.leave()
    await socket.ended()
    assert repr(live) == "<Socket '/' closed delivered=2>"
    assert "InMemoryChannelLayer" in repr(site.application)


async def test_requests_that_are_answered_during_the_shutdown_succeed(site: Any) -> None:
    lifespan = await start(site)
    client = site.http()
    message = await site.worker.take("http.request")
    lifespan.give("lifespan.shutdown")
    site.worker.reply(message, status=200, content=b"in time")
    assert (await client.response())[2] == b"in time"
    await lifespan.ended()
