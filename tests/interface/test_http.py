"""One HTTP request, from the ASGI event to the response."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import pytest

from channels.interface import http, outbox, upload
from channels.layers import InMemoryChannelLayer
from channels.types import Sending


class BatchNotingLayer(InMemoryChannelLayer):
    """Notes which messages are sent together."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[list[str]] = []

    async def send_many_async(self, sendings: Sequence[Sending]) -> list[Exception | None]:
        self.batches.append([sending.name for sending in sendings])
        return await super().send_many_async(sendings)


async def test_a_request_becomes_a_message_with_everything_in_it(site: Any) -> None:
    site.http(
        b"a=1",
        method="post",
        path="/caf\u00e9/",
        raw_path=b"/caf%C3%A9/",
        query_string=b"x=1+2%20&y",
        headers=[
            (b"Host", b"example.com"),
            (b"cookie", b"a=1"),
            (b"x_forged", b"1"),
            (b"cookie", b"b=2"),
        ],
    )
    message = await site.worker.take("http.request")
    reply_channel = message.pop("reply_channel")
    assert reply_channel.startswith("http.response.")
    assert "!" in reply_channel
    assert message == {
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/caf\u00e9/",
        "query_string": b"x=1+2%20&y",
        "root_path": "",
        "headers": [[b"host", b"example.com"], [b"cookie", b"a=1"], [b"cookie", b"b=2"]],
        "body": b"a=1",
        "client": ["10.0.0.1", 4321],
        "server": ["10.0.0.2", 80],
        "acknowledges": True,
    }


async def test_client_and_server_may_be_unknown_and_root_path_is_never_none(site: Any) -> None:
    site.http(client=None, server=("/run/site.sock", None), root_path=None)
    message = await site.worker.take("http.request")
    assert message["client"] is None
    assert message["server"] is None
    assert message["root_path"] == ""


async def test_the_root_path_given_replaces_that_of_the_asgi_server(make_site: Any) -> None:
    site = make_site(root_path="/sub")
    site.http(root_path="/other")
    assert (await site.worker.take("http.request"))["root_path"] == "/sub"


async def test_a_complete_reply_is_the_response(site: Any) -> None:
    client = site.http()
    message = await site.worker.take("http.request")
    site.worker.reply(
        message,
        status=201,
        headers=[(b"Content-Type", b"text/plain"), ["X-Text", "\u00e9"]],
        content=b"hello",
    )
    start = await client.take()
    assert start == {
        "type": "http.response.start",
        "status": 201,
        "headers": [
            (b"content-type", b"text/plain"),
            (b"x-text", b"\xe9"),
            (b"content-length", b"5"),
        ],
    }
    body = await client.take()
    assert body == {"type": "http.response.body", "body": b"hello", "more_body": False}
    await client.ended()


async def test_several_cookies_survive(site: Any) -> None:
    client = site.http()
    message = await site.worker.take("http.request")
    cookies = [[b"Set-Cookie", b"a=1"], [b"Set-Cookie", b"b=2"]]
    site.worker.reply(message, status=200, headers=cookies, content=b"")
    start = await client.take()
    assert start["headers"][:2] == [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]


@pytest.mark.parametrize(
    ("method", "reply"),
    [
        ("HEAD", {"status": 200, "content": b"hello"}),
        ("GET", {"status": 304}),
        ("GET", {"status": 200, "headers": [[b"Content-Length", b"5"]], "content": b"hello"}),
        ("GET", {"status": 200, "content": b"he", "more_content": True}),
    ],
)
async def test_a_length_is_added_only_to_content_that_is_whole_and_has_none(
    site: Any, method: str, reply: dict[str, Any]
) -> None:
    client = site.http(method=method)
    site.worker.reply(await site.worker.take("http.request"), **reply)
    assert (b"content-length", b"2") not in (headers := (await client.take())["headers"])
    assert len(headers) == len(reply.get("headers", []))


async def test_chunks_leave_as_they_are_produced(site: Any) -> None:
    client = site.http()
    message = await site.worker.take("http.request")
    site.worker.reply(message, status=200, headers=[], content=b"", more_content=True)
    assert (await client.take())["status"] == 200
    assert (await client.take())["body"] == b""
    site.worker.reply(message, content=b"one", more_content=True)
    assert (await client.take()) == {
        "type": "http.response.body",
        "body": b"one",
        "more_body": True,
    }
    site.worker.reply(message, more_content=False)
    assert (await client.take())["more_body"] is False
    await client.ended()


@pytest.mark.parametrize("status", [204, 304])
async def test_content_is_dropped_where_http_has_none(site: Any, status: int) -> None:
    client = site.http()
    site.worker.reply(await site.worker.take("http.request"), status=status, content=b"x")
    assert (await client.response())[2] == b""


async def test_two_requests_at_once_get_their_own_responses(site: Any) -> None:
    clients = {path: site.http(path=path) for path in ("/a", "/b")}
    messages = [await site.worker.take("http.request") for _ in clients]
    for message in reversed(messages):
        site.worker.reply(message, status=200, content=message["path"].encode())
    for path, client in clients.items():
        assert (await client.response())[2] == path.encode()


async def test_a_late_or_stray_reply_reaches_nobody(site: Any) -> None:
    client = site.http()
    message = await site.worker.take("http.request")
    site.worker.reply(message, status=200, content=b"first")
    await client.response()
    await client.ended()
    site.worker.reply(message, status=200, content=b"second")
    other = site.http()
    site.worker.reply(await site.worker.take("http.request"), status=200, content=b"other")
    assert (await other.response())[2] == b"other"
    assert client.nothing_sent()


async def test_a_server_may_repeat_the_query_in_its_raw_path(site: Any) -> None:
    site.http(path="/x", raw_path=b"/x?a=%ff", query_string=b"a=%ff")
    assert (await site.worker.take("http.request"))["path"] == "/x"


class TestEnd:
    @pytest.mark.usefixtures("own_time")
    async def test_after_the_end_the_server_is_asked_for_nothing(self, site: Any) -> None:
        client = site.http()
        site.worker.reply(await site.worker.take("http.request"), status=200, content=b"")
        await client.ended()
        await asyncio.sleep(0)
        client.leave()
        await asyncio.sleep(0.02)
        assert client.to_application.qsize() == 1

    async def test_http_disconnect_follows_a_complete_response_once(self, site: Any) -> None:
        client = site.http(path="/x")
        message = await site.worker.take("http.request")
        site.worker.reply(message, status=200, content=b"")
        await client.response()
        expected = {"reply_channel": message["reply_channel"], "path": "/x"}
        assert await site.worker.take("http.disconnect") == expected
        client.leave()
        await client.ended()
        assert site.worker.waiting("http.disconnect") == []

    async def test_http_disconnect_follows_a_client_that_leaves(self, site: Any) -> None:
        client = site.http()
        message = await site.worker.take("http.request")
        client.leave()
        disconnect = await site.worker.take("http.disconnect")
        assert disconnect["reply_channel"] == message["reply_channel"]
        await client.ended()
        assert client.nothing_sent()

    async def test_http_disconnect_follows_a_task_that_is_cancelled(self, site: Any) -> None:
        client = site.http()
        await site.worker.take("http.request")
        client.task.cancel()
        await site.worker.take("http.disconnect")

    async def test_http_disconnect_takes_no_round_trip_of_its_own_between_requests(
        self, make_site: Any, monkeypatch: Any
    ) -> None:
        monkeypatch.setattr(outbox, "RIDE_SECONDS", 3600.0)
        site = make_site(BatchNotingLayer())
        for _ in range(2):
            client = site.http()
            message = await site.worker.take("http.request")
            site.worker.reply(message, status=200, content=b"")
            await client.response()
            await client.ended()
            while site.application._runtime()._tasks:
                await asyncio.sleep(0)
        assert site.layer.batches == [["http.request"], ["http.disconnect", "http.request"]]

    async def test_a_shutdown_sends_the_http_disconnect_that_waits(
        self, make_site: Any, monkeypatch: Any
    ) -> None:
        monkeypatch.setattr(outbox, "RIDE_SECONDS", 3600.0)
        site = make_site()
        client = site.http()
        site.worker.reply(await site.worker.take("http.request"), status=200, content=b"")
        await client.ended()
        await site.application._runtime().shut_down()
        assert len(site.worker.waiting("http.disconnect")) == 1

    async def test_http_disconnect_is_dropped_silently_when_its_channel_is_full(
        self, make_site: Any, caplog: Any
    ) -> None:
        layer = InMemoryChannelLayer(channel_capacity={"http.disconnect": 1})
        site = make_site(layer)
        layer.send("http.disconnect", {})
        client = site.http()
        site.worker.reply(await site.worker.take("http.request"), status=200, content=b"")
        await client.response()
        await client.ended()
        await asyncio.sleep(0)
        assert site.worker.waiting("http.disconnect") == [{}]
        assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []

    async def test_nothing_is_said_about_a_request_that_never_reached_the_layer(
        self, site: Any
    ) -> None:
        client = site.http(None)
        client.leave()
        await client.ended()
        await asyncio.sleep(0)
        assert site.worker.waiting("http.request") == []
        assert site.worker.waiting("http.disconnect") == []

    async def test_a_server_that_fails_to_read_counts_as_a_client_that_left(
        self, site: Any
    ) -> None:
        client = site.http()
        await site.worker.take("http.request")
        client.to_application.put_nowait(ConnectionResetError())
        await client.ended()
        await site.worker.take("http.disconnect")
        assert client.nothing_sent()

    async def test_a_server_that_repeats_the_end_of_the_body_is_heard_no_more(
        self, site: Any
    ) -> None:
        client = site.http()
        client.give("http.request", body=b"", more_body=False)
        site.worker.reply(await site.worker.take("http.request"), status=200, content=b"ok")
        assert (await client.response())[2] == b"ok"


class TestRefusals:
    async def test_a_full_channel_is_503_with_retry_after(self, make_site: Any) -> None:
        site = make_site(InMemoryChannelLayer(channel_capacity={"http.request": 1}))
        site.layer.send("http.request", {})
        status, headers, _ = await site.http().response()
        assert status == 503
        assert headers[b"retry-after"].isdigit()

    async def test_no_answer_within_http_timeout_is_503(self, make_site: Any) -> None:
        site = make_site(http_timeout=0.05)
        client = site.http()
        status, _, _ = await client.response()
        assert status == 503
        message = await site.worker.take("http.request")
        disconnect = await site.worker.take("http.disconnect")
        assert disconnect["reply_channel"] == message["reply_channel"]

    @pytest.mark.usefixtures("own_time")
    async def test_http_timeout_ends_when_the_response_starts(self, make_site: Any) -> None:
        site = make_site(http_timeout=0.1)
        client = site.http()
        message = await site.worker.take("http.request")
        site.worker.reply(message, status=200, content=b"a", more_content=True)
        await client.take()
        await client.take()
        await asyncio.wait({client.task}, timeout=0.2)
        assert not client.task.done()
        site.worker.reply(message, content=b"b")
        assert (await client.take())["body"] == b"b"

    @pytest.mark.usefixtures("own_time")
    async def test_http_timeout_of_zero_is_none(self, make_site: Any) -> None:
        site = make_site(http_timeout=0)
        client = site.http()
        await asyncio.wait({client.task}, timeout=0.1)
        site.worker.reply(await site.worker.take("http.request"), status=200, content=b"")
        assert (await client.response())[0] == 200

    @pytest.mark.parametrize(
        "scope",
        [
            {"path": "/\ufffd", "raw_path": b"/%FF"},
            {"path": "/\udcff", "raw_path": None},
            {"query_string": b"a=\xff"},
        ],
    )
    async def test_what_is_not_utf8_is_400(self, site: Any, scope: Any) -> None:
        status, _, _ = await site.http(**scope).response()
        assert status == 400
        assert site.worker.waiting("http.request") == []

    async def test_escaped_bytes_in_a_query_string_are_for_the_worker(self, site: Any) -> None:
        site.http(query_string=b"a=%ff&b=%zz")
        assert (await site.worker.take("http.request"))["query_string"] == b"a=%ff&b=%zz"

    async def test_a_layer_that_is_away_is_503(
        self, make_site: Any, monkeypatch: Any, caplog: Any
    ) -> None:
        site = make_site()
        monkeypatch.setattr(site.layer, "send", _fail)
        status, _, _ = await site.http().response()
        assert status == 503
        assert "layer away" in caplog.text

    async def test_a_request_that_is_too_large_for_the_layer_is_413(self, make_site: Any) -> None:
        site = make_site(InMemoryChannelLayer(max_message_size=1000))
        status, _, _ = await site.http(b"x" * 2000).response()
        assert status == 413

    async def test_a_refusal_reaches_nobody_who_has_left(self, site: Any) -> None:
        client = site.http(query_string=b"\xff")
        client.send_error = ConnectionResetError()
        await client.ended()
        assert client.nothing_sent()


def _fail(*args: Any) -> None:
    raise ConnectionError("layer away")


class TestMalformedReplies:
    @pytest.mark.parametrize(
        "reply",
        [
            {"content": b"no status"},
            {"status": "200"},
            {"status": True},
            {"status": 99},
            {"status": 200, "headers": 3},
            {"status": 200, "headers": [b"x"]},
            {"status": 200, "headers": [[b"x", 1]]},
            {"status": 200, "headers": [["x", "\u20ac"]]},
            {"status": 200, "headers": [[b"x y", b""]]},
            {"status": 200, "headers": [[b"x", b"a\r\nb: c"]]},
            {"status": 200, "content": "text"},
            {"status": 200, "content": b"", "more_content": "yes"},
            {"status": 200, "content": b"", "more_content": True, "ack_channel": 1},
        ],
    )
    async def test_before_the_response_they_are_500(
        self, site: Any, reply: Any, caplog: Any
    ) -> None:
        client, other = site.http(path="/bad"), site.http(path="/good")
        for _ in range(2):
            message = await site.worker.take("http.request")
            good = {"status": 200, "content": b"fine"}
            site.layer.send(message["reply_channel"], reply if message["path"] == "/bad" else good)
        assert (await client.response())[0] == 500
        assert (await other.response())[2] == b"fine"
        assert "malformed reply" in caplog.text
        assert "/bad" in caplog.text

    @pytest.mark.parametrize("reply", [{"status": 200, "content": b"x"}, {"content": 1}])
    async def test_within_the_response_they_cut_it(
        self, site: Any, reply: Any, caplog: Any
    ) -> None:
        client = site.http()
        message = await site.worker.take("http.request")
        site.worker.reply(message, status=200, content=b"a", more_content=True)
        await client.take()
        await client.take()
        site.layer.send(message["reply_channel"], reply)
        await client.ended()
        assert client.nothing_sent()
        assert "response cut" in caplog.text
        await site.worker.take("http.disconnect")

    async def test_what_the_asgi_server_refuses_fails_that_response_only(
        self, site: Any, caplog: Any
    ) -> None:
        client = site.http()
        message = await site.worker.take("http.request")
        client.send_error = RuntimeError("longer than Content-Length")
        site.worker.reply(message, status=200, content=b"a")
        await client.ended()
        assert "longer than Content-Length" in caplog.text


class TestFlowControl:
    async def test_written_messages_are_acknowledged(self, site: Any) -> None:
        client = site.http()
        message = await site.worker.take("http.request")
        ack = site.layer.new_channel("http.response.ack?")
        site.worker.reply(message, status=200, more_content=True, ack_channel=ack)
        for _ in range(2 * http.ACK_EVERY - 1):
            site.worker.reply(message, content=b"x", more_content=True)
        assert await site.worker.take(ack) == {"acknowledged": http.ACK_EVERY}
        assert await site.worker.take(ack) == {"acknowledged": 2 * http.ACK_EVERY}
        client.leave()
        assert await site.worker.take(ack) == {"closed": True}
        await client.ended()
        assert site.worker.waiting(ack) == []

    async def test_a_client_that_does_not_read_gets_nothing_acknowledged(self, site: Any) -> None:
        client = site.http()
        client.writable.clear()
        message = await site.worker.take("http.request")
        ack = site.layer.new_channel("http.response.ack?")
        site.worker.reply(message, status=200, more_content=True, ack_channel=ack)
        for _ in range(http.ACK_EVERY):
            site.worker.reply(message, content=b"x", more_content=True)
        other = site.http()
        site.worker.reply(await site.worker.take("http.request"), status=200, content=b"")
        await other.response()
        assert site.worker.waiting(ack) == []
        client.writable.set()
        assert await site.worker.take(ack) == {"acknowledged": http.ACK_EVERY}

    async def test_a_response_that_begins_after_its_client_left_is_told(self, site: Any) -> None:
        client = site.http()
        message = await site.worker.take("http.request")
        client.leave()
        await client.ended()
        await site.worker.take("http.disconnect")
        ack = site.layer.new_channel("http.response.ack?")
        site.worker.reply(message, status=200, more_content=True, ack_channel=ack)
        site.worker.reply(message, content=b"x", more_content=True)
        assert await site.worker.take(ack) == {"closed": True}

    async def test_a_response_that_cannot_begin_is_told(self, site: Any) -> None:
        client = site.http()
        message = await site.worker.take("http.request")
        ack = site.layer.new_channel("http.response.ack?")
        site.worker.reply(message, status=99, more_content=True, ack_channel=ack)
        assert (await client.response())[0] == 500
        assert await site.worker.take(ack) == {"closed": True}

    async def test_a_complete_response_needs_no_last_acknowledgement(self, site: Any) -> None:
        client = site.http()
        message = await site.worker.take("http.request")
        ack = site.layer.new_channel("http.response.ack?")
        site.worker.reply(message, status=200, more_content=True, ack_channel=ack)
        site.worker.reply(message, content=b"end")
        await client.response()
        await site.worker.take("http.disconnect")
        await client.ended()
        assert site.worker.waiting(ack) == []

    async def test_an_aborted_response_stays_incomplete(self, site: Any, caplog: Any) -> None:
        client = site.http()
        message = await site.worker.take("http.request")
        site.worker.reply(message, status=200, content=b"a", more_content=True)
        site.worker.reply(message, aborted=True)
        await client.ended()
        assert [(await client.take())["type"] for _ in range(2)] == [
            "http.response.start",
            "http.response.body",
        ]
        assert client.nothing_sent()
        assert "worker failed" in caplog.text

    async def test_a_response_aborted_before_it_began_is_500(self, site: Any) -> None:
        client = site.http()
        site.worker.reply(await site.worker.take("http.request"), aborted=True)
        assert (await client.response())[0] == 500

    async def test_a_producer_that_ignores_a_slow_client_loses_the_connection(
        self, site: Any, monkeypatch: Any, caplog: Any
    ) -> None:
        monkeypatch.setattr(http, "MAILBOX_BYTES", 10_000)
        client = site.http()
        message = await site.worker.take("http.request")
        site.worker.reply(message, status=200, content=b"x", more_content=True)
        assert (await client.take())["status"] == 200
        assert (await client.take())["body"] == b"x"
        client.writable.clear()
        for _ in range(5):
            site.worker.reply(message, content=b"x" * 4000, more_content=True)
        await client.ended()
        assert "10000 bytes" in caplog.text
        await site.worker.take("http.disconnect")


class TestUpload:
    @pytest.mark.usefixtures("own_time")
    async def test_the_rest_of_a_body_comes_on_its_own_channel(self, site: Any) -> None:
        client = site.http(None)
        client.give("http.request", body=b"one", more_body=True)
        message = await site.worker.take("http.request")
        assert message["body"] == b"one"
        assert message["body_channel"].startswith("http.request.body?")
        client.give("http.request", body=b"two", more_body=True)
        chunk = await site.worker.take(message["body_channel"])
        assert chunk == {"content": b"two", "more_content": True}
        client.give("http.request", body=b"", more_body=False)
        chunk = await site.worker.take(message["body_channel"])
        assert chunk == {"content": b"", "more_content": False}
        await asyncio.sleep(0.02)
        assert site.worker.waiting(message["body_channel"]) == []
        site.worker.reply(message, status=200, content=b"")
        assert (await client.response())[0] == 200

    async def test_large_events_are_cut_into_pieces(self, site: Any, monkeypatch: Any) -> None:
        monkeypatch.setattr(upload, "PIECE_SIZE", 4)
        site.http(b"0123456789")
        message = await site.worker.take("http.request")
        pieces = [await site.worker.take(message["body_channel"]) for _ in range(2)]
        assert message["body"] == b"0123"
        assert pieces == [
            {"content": b"4567", "more_content": True},
            {"content": b"89", "more_content": False},
        ]

    async def test_a_client_that_leaves_within_its_body_closes_it(self, site: Any) -> None:
        client = site.http(None)
        client.give("http.request", body=b"one", more_body=True)
        message = await site.worker.take("http.request")
        client.leave()
        assert await site.worker.take(message["body_channel"]) == {"closed": True}
        await site.worker.take("http.disconnect")

    @pytest.mark.usefixtures("own_time")
    async def test_a_full_body_channel_makes_the_server_wait(self, make_site: Any) -> None:
        site = make_site(InMemoryChannelLayer(channel_capacity={"http.request.body?*": 1}))
        client = site.http(None)
        for letter in b"abcdef":
            client.give("http.request", body=bytes([letter]), more_body=True)
        client.give("http.request", body=b"", more_body=False)
        message = await site.worker.take("http.request")
        await asyncio.sleep(0.1)
        unread = client.to_application.qsize()
        assert unread == 3
        body = message["body"]
        more = True
        while more:
            chunk = await site.worker.take(message["body_channel"])
            body, more = body + chunk["content"], chunk["more_content"]
        assert body == b"abcdef"

    async def test_leaving_is_noticed_while_the_body_channel_is_full(self, make_site: Any) -> None:
        site = make_site(InMemoryChannelLayer(channel_capacity={"http.request.body?*": 1}))
        client = site.http(None)
        for _ in range(3):
            client.give("http.request", body=b"x", more_body=True)
        message = await site.worker.take("http.request")
        client.leave()
        await site.worker.take("http.disconnect")
        await client.ended()
        assert await site.worker.take(message["body_channel"]) == {
            "content": b"x",
            "more_content": True,
        }
        assert await site.worker.take(message["body_channel"]) == {"closed": True}

    async def test_a_body_channel_that_stays_full_is_given_up(
        self, make_site: Any, monkeypatch: Any
    ) -> None:
        monkeypatch.setattr(upload, "CLOSE_PATIENCE", 0.1)
        site = make_site(InMemoryChannelLayer(channel_capacity={"http.request.body?*": 1}))
        client = site.http(None)
        for _ in range(2):
            client.give("http.request", body=b"x", more_body=True)
        message = await site.worker.take("http.request")
        client.leave()
        await site.worker.take("http.disconnect")
        runtime = site.application._runtime()
        await asyncio.wait_for(runtime._settle(), 5)
        assert len(site.worker.waiting(message["body_channel"])) == 1

    @pytest.mark.usefixtures("own_time")
    async def test_a_body_that_does_not_progress_is_bounded_by_http_timeout(
        self, make_site: Any
    ) -> None:
        site = make_site(http_timeout=0.2)
        client = site.http(None)
        client.give("http.request", body=b"x", more_body=True)
        message = await site.worker.take("http.request")
        for _ in range(3):
            await asyncio.wait({client.task}, timeout=0.12)
            client.give("http.request", body=b"y", more_body=True)
            await site.worker.take(message["body_channel"])
        assert client.nothing_sent()
        assert (await client.response())[0] == 503
        assert await site.worker.take(message["body_channel"]) == {"closed": True}

    @pytest.mark.usefixtures("own_time")
    async def test_http_timeout_counts_from_the_arrival_of_the_request(
        self, make_site: Any
    ) -> None:
        site = make_site(http_timeout=0.4)
        client = site.http(None)
        await asyncio.wait({client.task}, timeout=0.3)
        client.give("http.request", body=b"x", more_body=False)
        message = await site.worker.take("http.request")
        await asyncio.wait({client.task}, timeout=0.2)
        site.worker.reply(message, status=200, content=b"in time")
        assert (await client.response())[2] == b"in time"

    async def test_a_body_over_the_limit_is_413_by_actual_bytes(self, make_site: Any) -> None:
        site = make_site(max_body_size=10)
        client = site.http(None, headers=[(b"content-length", b"3")])
        client.give("http.request", body=b"x" * 6, more_body=True)
        message = await site.worker.take("http.request")
        client.give("http.request", body=b"x" * 6, more_body=True)
        assert (await client.response())[0] == 413
        assert await site.worker.take(message["body_channel"]) == {"closed": True}

    async def test_a_first_piece_over_the_limit_reaches_no_worker(self, make_site: Any) -> None:
        site = make_site(max_body_size=10)
        assert (await site.http(b"x" * 11).response())[0] == 413
        site.http(b"x" * 10, path="/exact")
        assert (await site.worker.take("http.request"))["path"] == "/exact"

    async def test_a_layer_that_fails_within_the_body_ends_the_request(
        self, site: Any, monkeypatch: Any
    ) -> None:
        client = site.http(None)
        client.give("http.request", body=b"x", more_body=True)
        await site.worker.take("http.request")
        monkeypatch.setattr(site.layer, "send", _fail)
        client.give("http.request", body=b"y", more_body=True)
        assert (await client.response())[0] == 503

    async def test_an_answer_before_the_end_of_the_body_is_the_response(self, site: Any) -> None:
        client = site.http(None)
        client.give("http.request", body=b"x", more_body=True)
        message = await site.worker.take("http.request")
        site.worker.reply(message, status=403, content=b"no")
        assert (await client.response())[0] == 403
        await client.ended()

    async def test_a_layer_without_names_is_503(self, site: Any, monkeypatch: Any) -> None:
        monkeypatch.setattr(site.layer, "new_channel", _fail)
        client = site.http(None)
        client.give("http.request", body=b"x", more_body=True)
        assert (await client.response())[0] == 503
        assert site.worker.waiting("http.request") == []


async def test_state_shows_in_repr(site: Any) -> None:
    client = site.http(path="/x")
    message = await site.worker.take("http.request")
    live = next(iter(site.application._runtime()._connections))
    assert repr(live) == "<HttpExchange GET '/x' status=None complete=False>"
    site.worker.reply(message, status=204)
    await client.ended()
    assert repr(live) == "<HttpExchange GET '/x' status=204 complete=True>"


async def test_the_action_logger_hears_of_complete_responses(make_site: Any) -> None:
    actions: list[Any] = []
    site = make_site(action_logger=lambda *action: actions.append(action))
    client = site.http(path="/x", method="PUT")
    site.worker.reply(await site.worker.take("http.request"), status=200, content=b"four")
    await client.ended()
    [(protocol, action, details)] = actions
    assert (protocol, action) == ("http", "complete")
    assert 0 <= details.pop("time_taken") < 5
    assert details == {
        "path": "/x",
        "status": 200,
        "method": "PUT",
        "client": "10.0.0.1:4321",
        "size": 4,
    }


async def test_an_action_logger_that_fails_harms_nobody(make_site: Any, caplog: Any) -> None:
    site = make_site(action_logger=_fail)
    client = site.http()
    site.worker.reply(await site.worker.take("http.request"), status=200, content=b"ok")
    assert (await client.response())[2] == b"ok"
    await client.ended()
    assert "action logger failed" in caplog.text
