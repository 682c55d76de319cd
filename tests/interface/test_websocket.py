"""One WebSocket, from its handshake to its ``websocket.disconnect``."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from channels.interface import websocket
from channels.interface.socket_state import InvalidTransition, State, transition
from channels.layers import InMemoryChannelLayer

DENIAL = {"websocket.http.response": {}}


async def no_more(site: Any, socket: Any, *channels: str) -> None:
    """The socket has ended, and nothing waits on ``channels``."""
    await socket.ended()
    for channel in channels:
        assert site.worker.waiting(channel) == []


class TestHandshake:
    async def test_it_becomes_a_message_with_everything_in_it(self, site: Any) -> None:
        site.socket(
            path="/chat/",
            raw_path=b"/chat/",
            query_string=b"room=1",
            scheme="wss",
            headers=[(b"Host", b"example.com"), (b"x_y", b"")],
            subprotocols=["a", "b"],
        )
        message = await site.worker.take("websocket.connect")
        reply_channel = message.pop("reply_channel")
        assert reply_channel.startswith("websocket.send.")
        assert "!" in reply_channel
        assert message == {
            "path": "/chat/",
            "headers": [[b"host", b"example.com"]],
            "query_string": b"room=1",
            "client": ["10.0.0.1", 4321],
            "server": ["10.0.0.2", 80],
            "scheme": "wss",
            "root_path": "",
            "http_version": "1.1",
            "subprotocols": ["a", "b"],
            "order": 0,
        }

    async def test_accept_accepts(self, site: Any) -> None:
        socket = site.socket()
        site.worker.reply(await site.worker.take("websocket.connect"), accept=True)
        assert await socket.take() == {"type": "websocket.accept", "subprotocol": None}

    @pytest.mark.parametrize("data", [{"text": "hi"}, {"bytes": b"hi"}])
    async def test_data_accepts_and_is_sent(self, site: Any, data: Any) -> None:
        socket = site.socket()
        site.worker.reply(await site.worker.take("websocket.connect"), **data)
        assert (await socket.take())["type"] == "websocket.accept"
        assert await socket.take() == {"type": "websocket.send", **data}

    async def test_data_and_close_accept_send_and_close(self, site: Any) -> None:
        socket = site.socket()
        connect = await site.worker.take("websocket.connect")
        site.worker.reply(connect, text="bye", close=4001, reason="over")
        assert (await socket.take())["type"] == "websocket.accept"
        assert await socket.take() == {"type": "websocket.send", "text": "bye"}
        assert await socket.take() == {"type": "websocket.close", "code": 4001, "reason": "over"}
        disconnect = await site.worker.take("websocket.disconnect")
        assert (disconnect["code"], disconnect["order"]) == (4001, 1)

    async def test_accept_and_close_accept_and_close(self, site: Any) -> None:
        socket = site.socket()
        connect = await site.worker.take("websocket.connect")
        site.worker.reply(connect, accept=True, close=True)
        assert (await socket.take())["type"] == "websocket.accept"
        assert (await socket.take())["code"] == 1000

    @pytest.mark.parametrize(
        "reply",
        [{"accept": False}, {"close": True}, {"close": 4000}, {"accept": False, "text": "x"}],
    )
    async def test_a_refusal_is_403_and_disconnects_with_1006(self, site: Any, reply: Any) -> None:
        socket = site.socket(path="/x", extensions=DENIAL)
        connect = await site.worker.take("websocket.connect")
        site.worker.reply(connect, **reply)
        assert await socket.take() == {"type": "websocket.close"}
        assert await site.worker.take("websocket.disconnect") == {
            "reply_channel": connect["reply_channel"],
            "path": "/x",
            "code": 1006,
            "order": 1,
        }
        await no_more(site, socket, "websocket.disconnect")

    async def test_a_reply_that_says_nothing_decides_nothing(self, site: Any) -> None:
        socket = site.socket()
        connect = await site.worker.take("websocket.connect")
        site.worker.reply(connect, text="", bytes=None, close=False)
        site.worker.reply(connect, accept=True)
        assert (await socket.take())["type"] == "websocket.accept"

    @pytest.mark.usefixtures("own_time")
    async def test_early_frames_are_kept_until_the_handshake_is_accepted(self, site: Any) -> None:
        socket = site.socket()
        connect = await site.worker.take("websocket.connect")
        for text in "abc":
            socket.text(text)
        await asyncio.sleep(0.05)
        assert site.worker.waiting("websocket.receive") == []
        site.worker.reply(connect, accept=True)
        frames = [await site.worker.take("websocket.receive") for _ in "abc"]
        assert [(f["text"], f["order"]) for f in frames] == [("a", 1), ("b", 2), ("c", 3)]

    @pytest.mark.usefixtures("own_time")
    async def test_early_frames_are_bounded(self, site: Any) -> None:
        socket = site.socket()
        connect = await site.worker.take("websocket.connect")
        count = websocket.FRAMES_AHEAD + 10
        for number in range(count):
            socket.text(str(number))
        await asyncio.sleep(0.05)
        assert socket.to_application.qsize() == 9
        site.worker.reply(connect, accept=True)
        frames = [await site.worker.take("websocket.receive") for _ in range(count)]
        assert [f["text"] for f in frames] == [str(n) for n in range(count)]

    async def test_a_client_that_leaves_while_connecting_disconnects_once(self, site: Any) -> None:
        socket = site.socket()
        connect = await site.worker.take("websocket.connect")
        socket.text("early")
        socket.leave(1001)
        disconnect = await site.worker.take("websocket.disconnect")
        assert (disconnect["code"], disconnect["order"]) == (1001, 1)
        site.worker.reply(connect, accept=True)
        await no_more(site, socket, "websocket.receive", "websocket.disconnect")
        assert socket.nothing_sent()

    async def test_a_client_that_left_before_the_handshake_is_not_mentioned(
        self, site: Any
    ) -> None:
        socket = site.socket()
        socket.to_application.get_nowait()
        socket.leave()
        await no_more(site, socket, "websocket.connect", "websocket.disconnect")

    @pytest.mark.parametrize(
        ("extensions", "sent"),
        [(None, "websocket.close"), (DENIAL, "websocket.http.response.start")],
    )
    async def test_no_answer_in_time_is_refused(
        self, make_site: Any, extensions: Any, sent: str
    ) -> None:
        site = make_site(websocket_handshake_timeout=0.05)
        socket = site.socket(extensions=extensions)
        await site.worker.take("websocket.connect")
        event = await socket.take()
        assert event["type"] == sent
        assert event.get("status", 503) == 503
        disconnect = await site.worker.take("websocket.disconnect")
        assert (disconnect["code"], disconnect["order"]) == (1006, 1)

    @pytest.mark.usefixtures("own_time")
    async def test_a_handshake_timeout_of_zero_is_none(self, make_site: Any) -> None:
        site = make_site(websocket_handshake_timeout=0)
        socket = site.socket()
        connect = await site.worker.take("websocket.connect")
        await asyncio.wait({socket.task}, timeout=0.1)
        site.worker.reply(connect, accept=True)
        assert (await socket.take())["type"] == "websocket.accept"

    @pytest.mark.usefixtures("own_time")
    async def test_the_handshake_timeout_ends_with_the_handshake(self, make_site: Any) -> None:
        site = make_site(websocket_handshake_timeout=0.05)
        socket, _ = await site.open_socket()
        await asyncio.wait({socket.task}, timeout=0.1)
        assert not socket.task.done()

    @pytest.mark.parametrize(
        ("extensions", "sent"),
        [(None, "websocket.close"), (DENIAL, "websocket.http.response.start")],
    )
    async def test_a_full_connect_channel_refuses_without_disconnect(
        self, make_site: Any, extensions: Any, sent: str, caplog: Any
    ) -> None:
        site = make_site(InMemoryChannelLayer(channel_capacity={"websocket.connect": 1}))
        site.layer.send("websocket.connect", {})
        socket = site.socket(extensions=extensions)
        assert (await socket.take())["type"] == sent
        await no_more(site, socket, "websocket.disconnect")
        assert "websocket.connect is full" in caplog.text

    async def test_a_denial_response_is_complete(self, make_site: Any) -> None:
        site = make_site(websocket_handshake_timeout=0.05)
        socket = site.socket(extensions=DENIAL)
        start, body = await socket.take(), await socket.take()
        assert dict(start["headers"])[b"retry-after"]
        assert body["type"] == "websocket.http.response.body"
        assert body["more_body"] is False

    async def test_a_path_that_is_not_utf8_is_400(self, site: Any) -> None:
        socket = site.socket(raw_path=b"/%ff", extensions=DENIAL)
        assert (await socket.take())["status"] == 400
        await no_more(site, socket, "websocket.connect")

    async def test_a_forbidden_origin_is_403_with_a_reason(self, site: Any, caplog: Any) -> None:
        headers = [(b"host", b"example.com"), (b"origin", b"https://evil.example")]
        socket = site.socket(headers=headers, extensions=DENIAL)
        assert await socket.take() == {"type": "websocket.close"}
        await no_more(site, socket, "websocket.connect")
        assert "https://evil.example" in caplog.text
        assert "CHANNELS_ALLOWED_ORIGINS" in caplog.text


class TestSubprotocols:
    async def test_the_worker_chooses(self, site: Any) -> None:
        socket = site.socket(subprotocols=["a", "b"])
        connect = await site.worker.take("websocket.connect")
        site.worker.reply(connect, accept=True, subprotocol="b")
        assert (await socket.take())["subprotocol"] == "b"

    async def test_one_that_is_not_offered_is_ignored(self, site: Any, caplog: Any) -> None:
        socket = site.socket(subprotocols=["a"])
        connect = await site.worker.take("websocket.connect")
        site.worker.reply(connect, accept=True, subprotocol="c")
        assert (await socket.take())["subprotocol"] is None
        assert "'c'" in caplog.text

    async def test_else_the_first_of_ours_that_is_offered(self, make_site: Any) -> None:
        site = make_site(ws_protocols=["x", "b", "a"])
        socket = site.socket(subprotocols=["a", "b"])
        site.worker.reply(await site.worker.take("websocket.connect"), accept=True)
        assert (await socket.take())["subprotocol"] == "b"

    async def test_ours_come_from_the_settings(self, make_site: Any, settings: Any) -> None:
        settings.CHANNELS_WS_PROTOCOLS = ["graphql-ws"]
        site = make_site()
        socket = site.socket(subprotocols=["graphql-ws"])
        site.worker.reply(await site.worker.take("websocket.connect"), accept=True)
        assert (await socket.take())["subprotocol"] == "graphql-ws"


class TestOpen:
    async def test_frames_become_messages_in_order(self, site: Any) -> None:
        socket, connect = await site.open_socket(path="/x")
        socket.give("websocket.receive", text="a", bytes=None)
        socket.give("websocket.receive", bytes=b"b", text=None)
        socket.give("websocket.receive", text="")
        common = {"reply_channel": connect["reply_channel"], "path": "/x"}
        assert await site.worker.take("websocket.receive") == {**common, "text": "a", "order": 1}
        assert await site.worker.take("websocket.receive") == {**common, "bytes": b"b", "order": 2}
        assert await site.worker.take("websocket.receive") == {**common, "text": "", "order": 3}

    async def test_replies_become_frames(self, site: Any) -> None:
        socket, connect = await site.open_socket()
        site.worker.reply(connect, text="a", bytes=None)
        site.worker.reply(connect, bytes=b"b", text="")
        assert await socket.take() == {"type": "websocket.send", "text": "a"}
        assert await socket.take() == {"type": "websocket.send", "bytes": b"b"}

    async def test_groups_reach_every_socket(self, site: Any) -> None:
        sockets = [await site.open_socket() for _ in range(3)]
        for _, connect in sockets:
            site.layer.group_add("all", connect["reply_channel"])
        site.layer.send_group("all", {"text": "hello"})
        for socket, _ in sockets:
            assert (await socket.take())["text"] == "hello"

    async def test_text_and_bytes_together_are_ignored(self, site: Any, caplog: Any) -> None:
        socket, connect = await site.open_socket()
        site.worker.reply(connect, text="a", bytes=b"b", close=True)
        site.worker.reply(connect, text="next")
        assert (await socket.take())["text"] == "next"
        assert "both" in caplog.text

    async def test_unknown_keys_are_dropped(self, site: Any, caplog: Any) -> None:
        socket, connect = await site.open_socket()
        site.worker.reply(connect, text="a", colour="red")
        assert await socket.take() == {"type": "websocket.send", "text": "a"}
        assert "'colour'" in caplog.text

    async def test_accepting_again_changes_nothing(self, site: Any, caplog: Any) -> None:
        socket, connect = await site.open_socket()
        site.worker.reply(connect, accept=True)
        site.worker.reply(connect, accept=False)
        site.worker.reply(connect, text="a")
        assert (await socket.take())["text"] == "a"
        assert "'accept': False" in caplog.text

    @pytest.mark.parametrize(
        "reply",
        [
            {"text": 1},
            {"bytes": "text"},
            {"accept": "yes"},
            {"close": 1006},
            {"close": "soon"},
            {"close": 999},
            {"text": "a", "subprotocol": 1},
            {"close": True, "reason": 1},
        ],
    )
    async def test_a_malformed_reply_closes_with_1011(
        self, site: Any, reply: Any, caplog: Any
    ) -> None:
        socket, connect = await site.open_socket(path="/bad")
        other, other_connect = await site.open_socket()
        site.worker.reply(connect, **reply)
        assert (await socket.take())["code"] == 1011
        assert (await site.worker.take("websocket.disconnect"))["code"] == 1011
        assert "malformed reply" in caplog.text
        site.worker.reply(other_connect, text="unharmed")
        assert (await other.take())["text"] == "unharmed"

    async def test_a_malformed_reply_to_a_group_closes_each_of_its_sockets(
        self, site: Any
    ) -> None:
        sockets = [await site.open_socket() for _ in range(3)]
        other, other_connect = await site.open_socket()
        for _, connect in sockets:
            site.layer.group_add("all", connect["reply_channel"])
        site.layer.send_group("all", {"text": 1})
        for socket, _ in sockets:
            assert (await socket.take())["code"] == 1011
        site.worker.reply(other_connect, text="unharmed")
        assert (await other.take())["text"] == "unharmed"

    async def test_a_malformed_reply_to_the_handshake_refuses_it(self, site: Any) -> None:
        socket = site.socket(extensions=DENIAL)
        site.worker.reply(await site.worker.take("websocket.connect"), accept="yes")
        assert (await socket.take())["status"] == 500
        assert (await site.worker.take("websocket.disconnect"))["code"] == 1006


class TestEnd:
    async def test_the_client_closes(self, site: Any) -> None:
        socket, connect = await site.open_socket(path="/x")
        socket.text("last")
        socket.leave(4000, reason="enough")
        assert (await site.worker.take("websocket.receive"))["order"] == 1
        assert await site.worker.take("websocket.disconnect") == {
            "reply_channel": connect["reply_channel"],
            "path": "/x",
            "code": 4000,
            "reason": "enough",
            "order": 2,
        }
        await no_more(site, socket, "websocket.disconnect")
        assert socket.nothing_sent()

    async def test_a_close_without_a_code_is_1005(self, site: Any) -> None:
        socket, _ = await site.open_socket()
        socket.give("websocket.disconnect")
        disconnect = await site.worker.take("websocket.disconnect")
        assert disconnect["code"] == 1005
        assert "reason" not in disconnect

    @pytest.mark.parametrize(
        ("close", "code"), [(True, 1000), (1000, 1000), (3000, 3000), (1012, 1012), (4999, 4999)]
    )
    async def test_the_worker_closes(self, site: Any, close: Any, code: int) -> None:
        socket, connect = await site.open_socket()
        site.worker.reply(connect, text="bye", close=close)
        assert (await socket.take())["text"] == "bye"
        assert await socket.take() == {"type": "websocket.close", "code": code, "reason": ""}
        disconnect = await site.worker.take("websocket.disconnect")
        assert (disconnect["code"], disconnect["order"]) == (code, 1)
        await no_more(site, socket, "websocket.disconnect")

    async def test_a_long_reason_is_cut_at_a_character(self, site: Any, caplog: Any) -> None:
        socket, connect = await site.open_socket()
        site.worker.reply(connect, close=True, reason="\u00e9" * 100)
        assert (await socket.take())["reason"] == "\u00e9" * 61
        assert "'reason'" in caplog.text

    async def test_frames_that_arrive_during_a_close_do_not_follow_the_disconnect(
        self, site: Any
    ) -> None:
        socket, connect = await site.open_socket()
        site.worker.reply(connect, close=True)
        for _ in range(100):
            socket.text("more")
        disconnect = await site.worker.take("websocket.disconnect")
        await socket.ended()
        frames = site.worker.waiting("websocket.receive")
        assert [f["order"] for f in frames] == list(range(1, disconnect["order"]))

    async def test_a_cancelled_task_still_disconnects_once(self, site: Any) -> None:
        socket, _ = await site.open_socket()
        socket.task.cancel()
        assert (await site.worker.take("websocket.disconnect"))["order"] == 1
        await asyncio.wait({socket.task})
        assert socket.task.cancelled()
        assert site.worker.waiting("websocket.disconnect") == []

    @pytest.mark.usefixtures("own_time")
    async def test_a_socket_that_is_too_old_is_closed(self, make_site: Any, caplog: Any) -> None:
        site = make_site(websocket_timeout=0.05)
        socket, _ = await site.open_socket()
        assert (await socket.take())["type"] == "websocket.close"
        await site.worker.take("websocket.disconnect")
        assert "websocket_timeout" in caplog.text

    @pytest.mark.usefixtures("own_time")
    async def test_websocket_timeout_is_the_group_expiry_by_default(self, make_site: Any) -> None:
        site = make_site(InMemoryChannelLayer(group_expiry=0.05))
        socket, _ = await site.open_socket()
        assert (await socket.take())["type"] == "websocket.close"

    async def test_a_client_that_cannot_be_written_to_is_gone(self, site: Any) -> None:
        socket, connect = await site.open_socket()
        socket.send_error = ConnectionResetError()
        site.worker.reply(connect, text="a")
        socket.text("sent before")
        socket.leave(1001)
        assert (await site.worker.take("websocket.receive"))["text"] == "sent before"
        assert (await site.worker.take("websocket.disconnect"))["code"] == 1001

    async def test_a_client_that_vanishes_without_a_word_is_1006(
        self, site: Any, monkeypatch: Any
    ) -> None:
        monkeypatch.setattr(websocket, "FAREWELL_PATIENCE", 0.05)
        socket, connect = await site.open_socket()
        socket.send_error = ConnectionResetError()
        site.worker.reply(connect, text="a")
        assert (await site.worker.take("websocket.disconnect"))["code"] == 1006
        await socket.ended()

    async def test_an_asgi_server_that_fails_ends_the_socket(self, site: Any, caplog: Any) -> None:
        socket, _ = await site.open_socket()
        socket.to_application.put_nowait(LookupError("odd"))
        assert (await socket.take())["code"] == 1011
        await site.worker.take("websocket.disconnect")
        assert "LookupError: odd" in caplog.text

    async def test_a_client_that_does_not_take_the_close_delays_nothing_for_ever(
        self, site: Any, monkeypatch: Any
    ) -> None:
        monkeypatch.setattr(websocket, "CLOSE_PATIENCE", 0.05)
        socket, connect = await site.open_socket()
        site.worker.reply(connect, text="a")
        await socket.take()
        socket.writable.clear()
        site.worker.reply(connect, close=True)
        await site.worker.take("websocket.disconnect")
        await socket.ended()


class TestBackpressure:
    async def test_a_full_receive_channel_closes_with_1013(
        self, make_site: Any, monkeypatch: Any
    ) -> None:
        monkeypatch.setattr(websocket, "RECEIVE_PATIENCE", 0.1)
        site = make_site(InMemoryChannelLayer(channel_capacity={"websocket.receive": 2}))
        socket, _ = await site.open_socket()
        for text in "abc":
            socket.text(text)
        assert (await socket.take())["code"] == 1013
        disconnect = await site.worker.take("websocket.disconnect")
        assert (disconnect["code"], disconnect["order"]) == (1013, 3)
        await no_more(site, socket, "websocket.disconnect")
        assert [f["order"] for f in site.worker.waiting("websocket.receive")] == [1, 2]

    @pytest.mark.usefixtures("own_time")
    async def test_a_short_jam_is_waited_for(self, make_site: Any) -> None:
        site = make_site(InMemoryChannelLayer(channel_capacity={"websocket.receive": 1}))
        socket, _ = await site.open_socket()
        for text in "abc":
            socket.text(text)
        await asyncio.sleep(0.05)
        frames = [await site.worker.take("websocket.receive") for _ in "abc"]
        assert [(f["text"], f["order"]) for f in frames] == [("a", 1), ("b", 2), ("c", 3)]

    @pytest.mark.parametrize(
        ("frame", "fits"),
        [
            ({"bytes": b"x" * 100}, True),
            ({"bytes": b"x" * 101}, False),
            ({"text": "x" * 100}, True),
            ({"text": "x" * 101}, False),
            ({"text": "\u00e9" * 50}, True),
            ({"text": "\u00e9" * 51}, False),
        ],
    )
    async def test_frames_over_the_limit_close_with_1009(
        self, make_site: Any, frame: Any, fits: bool
    ) -> None:
        site = make_site(max_frame_size=100)
        socket, _ = await site.open_socket()
        socket.give("websocket.receive", **frame)
        if fits:
            await site.worker.take("websocket.receive")
        else:
            assert (await socket.take())["code"] == 1009
            assert (await site.worker.take("websocket.disconnect"))["order"] == 1

    async def test_a_frame_that_the_layer_does_not_take_closes_with_1009(
        self, make_site: Any
    ) -> None:
        site = make_site(InMemoryChannelLayer(max_message_size=1000))
        socket, _ = await site.open_socket()
        socket.text("x" * 2000)
        assert (await socket.take())["code"] == 1009

    @pytest.mark.parametrize("limit", ["MAILBOX_MESSAGES", "MAILBOX_BYTES"])
    async def test_a_client_that_does_not_read_costs_only_itself(
        self, site: Any, monkeypatch: Any, limit: str
    ) -> None:
        monkeypatch.setattr(websocket, limit, 5 if limit == "MAILBOX_MESSAGES" else 5000)
        slow, connect = await site.open_socket()
        slow.writable.clear()
        monkeypatch.undo()
        monkeypatch.setattr(websocket, "CLOSE_PATIENCE", 0.05)
        other, other_connect = await site.open_socket()
        for _ in range(20):
            site.worker.reply(connect, text="x" * 500)
        site.worker.reply(other_connect, text="prompt")
        assert (await other.take())["text"] == "prompt"
        disconnect = await site.worker.take("websocket.disconnect")
        assert disconnect["reply_channel"] == connect["reply_channel"]
        assert disconnect["code"] == 1013

    @pytest.mark.usefixtures("own_time")
    async def test_a_full_disconnect_channel_is_retried(self, make_site: Any) -> None:
        site = make_site(InMemoryChannelLayer(channel_capacity={"websocket.disconnect": 1}))
        site.layer.send("websocket.disconnect", {"code": 0})
        socket, _ = await site.open_socket()
        socket.leave(1001)
        await asyncio.sleep(0.05)
        assert [m["code"] for m in site.worker.waiting("websocket.disconnect")] == [0]
        assert (await site.worker.take("websocket.disconnect"))["code"] == 1001

    @pytest.mark.usefixtures("own_time")
    async def test_a_disconnect_is_retried_though_its_task_was_cancelled(
        self, make_site: Any
    ) -> None:
        site = make_site(InMemoryChannelLayer(channel_capacity={"websocket.disconnect": 1}))
        site.layer.send("websocket.disconnect", {"code": 0})
        socket, _ = await site.open_socket()
        socket.leave(1001)
        await asyncio.sleep(0.02)
        socket.task.cancel()
        await asyncio.wait({socket.task})
        assert (await site.worker.take("websocket.disconnect"))["code"] == 0
        assert (await site.worker.take("websocket.disconnect"))["code"] == 1001

    async def test_a_disconnect_that_cannot_be_delivered_is_logged(
        self, make_site: Any, monkeypatch: Any, caplog: Any
    ) -> None:
        monkeypatch.setattr(websocket, "DISCONNECT_PATIENCE", 0.05)
        site = make_site(InMemoryChannelLayer(channel_capacity={"websocket.disconnect": 1}))
        site.layer.send("websocket.disconnect", {})
        socket, _ = await site.open_socket()
        socket.leave()
        await socket.ended()
        assert "could not be delivered" in caplog.text


class SlowLayer(InMemoryChannelLayer):
    """Sends take until ``gate`` opens, as with a network in between."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.gate.set()

    async def send_async(self, channel: str, message: Any) -> None:
        await self.gate.wait()
        await super().send_async(channel, message)


class TestCancellationDuringASend:
    @pytest.mark.usefixtures("own_time")
    async def test_a_connect_under_way_is_followed_by_its_disconnect(self, make_site: Any) -> None:
        site = make_site(SlowLayer())
        site.layer.gate.clear()
        socket = site.socket()
        await asyncio.sleep(0.02)
        socket.task.cancel()
        await asyncio.wait({socket.task})
        site.layer.gate.set()
        connect = await site.worker.take("websocket.connect")
        disconnect = await site.worker.take("websocket.disconnect")
        assert disconnect["reply_channel"] == connect["reply_channel"]
        assert disconnect["order"] == 1

    @pytest.mark.usefixtures("own_time")
    async def test_a_frame_under_way_comes_before_the_disconnect(self, make_site: Any) -> None:
        site = make_site(SlowLayer())
        socket, _ = await site.open_socket()
        site.layer.gate.clear()
        socket.text("under way")
        await asyncio.sleep(0.02)
        socket.task.cancel()
        await asyncio.wait({socket.task})
        site.layer.gate.set()
        assert (await site.worker.take("websocket.disconnect"))["order"] == 2
        assert [f["order"] for f in site.worker.waiting("websocket.receive")] == [1]

    @pytest.mark.usefixtures("own_time")
    async def test_a_request_under_way_is_followed_by_its_disconnect(self, make_site: Any) -> None:
        site = make_site(SlowLayer())
        site.layer.gate.clear()
        client = site.http()
        await asyncio.sleep(0.02)
        client.task.cancel()
        await asyncio.wait({client.task})
        site.layer.gate.set()
        request = await site.worker.take("http.request")
        disconnect = await site.worker.take("http.disconnect")
        assert disconnect["reply_channel"] == request["reply_channel"]


class Unsure(Exception):
    may_have_arrived = True


class UnsureLayer(InMemoryChannelLayer):
    """Messages to ``unsure`` channels arrive, but the answer about that is lost."""

    unsure: frozenset[str] | set[str] = frozenset()

    def send(self, channel: str, message: Any) -> None:
        super().send(channel, message)
        if channel in self.unsure:
            raise Unsure("no answer")


class TestLayerAway:
    async def test_a_handshake_is_refused(self, site: Any, monkeypatch: Any) -> None:
        monkeypatch.setattr(site.layer, "send", _fail)
        socket = site.socket(extensions=DENIAL)
        assert (await socket.take())["status"] == 503
        await socket.ended()

    async def test_an_open_socket_is_closed_with_1013_and_disconnected_later(
        self, site: Any, monkeypatch: Any
    ) -> None:
        socket, _ = await site.open_socket()
        with monkeypatch.context() as away:
            away.setattr(site.layer, "send", _fail)
            socket.text("lost")
            assert (await socket.take())["code"] == 1013
        disconnect = await site.worker.take("websocket.disconnect")
        assert (disconnect["code"], disconnect["order"]) == (1013, 1)

    async def test_what_may_have_arrived_is_not_sent_again_but_followed_by_a_disconnect(
        self, make_site: Any, monkeypatch: Any
    ) -> None:
        layer = UnsureLayer()
        site = make_site(layer)
        layer.unsure = {"websocket.connect", "websocket.disconnect"}
        await site.socket().ended()
        assert len(site.worker.waiting("websocket.connect")) == 1
        [disconnect] = site.worker.waiting("websocket.disconnect")
        assert (disconnect["code"], disconnect["order"]) == (1006, 1)

    async def test_a_frame_that_may_have_arrived_keeps_its_order(self, make_site: Any) -> None:
        layer = UnsureLayer()
        site = make_site(layer)
        socket, _ = await site.open_socket()
        layer.unsure = {"websocket.receive"}
        socket.text("a")
        assert (await socket.take())["code"] == 1013
        assert (await site.worker.take("websocket.disconnect"))["order"] == 2
        assert [f["order"] for f in site.worker.waiting("websocket.receive")] == [1]

    async def test_an_outage_is_logged_once(
        self, site: Any, monkeypatch: Any, caplog: Any
    ) -> None:
        monkeypatch.setattr(site.layer, "send", _fail)
        for _ in range(3):
            await site.socket().ended()
        assert caplog.text.count("layer away") == 1


def _fail(*args: Any) -> None:
    raise ConnectionError("layer away")


class TestMemberships:
    async def test_they_are_kept_alive_for_sockets_that_live_longer(self, make_site: Any) -> None:
        site = make_site(InMemoryChannelLayer(group_expiry=1), websocket_timeout=0)
        _, connect = await site.open_socket()
        site.layer.group_add("room", connect["reply_channel"])
        site.layer.group_add("room", "someone.else")
        await asyncio.sleep(1.2)
        assert site.layer.group_channels("room") == [connect["reply_channel"]]

    async def test_a_failure_is_logged_and_tried_again(
        self, make_site: Any, monkeypatch: Any, caplog: Any
    ) -> None:
        site = make_site(InMemoryChannelLayer(group_expiry=0.2), websocket_timeout=60)
        refreshed = asyncio.Event()
        loop = asyncio.get_running_loop()
        calls: list[Any] = []

        def refresh(channels: Any) -> None:
            calls.append(list(channels))
            if len(calls) == 1:
                raise ConnectionError("layer away")
            loop.call_soon_threadsafe(refreshed.set)

        monkeypatch.setattr(site.layer, "group_refresh", refresh)
        _, connect = await site.open_socket()
        await asyncio.wait_for(refreshed.wait(), 5)
        assert calls[1] == [connect["reply_channel"]]
        assert "layer away" in caplog.text


async def test_the_action_logger_hears_of_every_step(make_site: Any) -> None:
    actions: list[Any] = []
    site = make_site(action_logger=lambda *action: actions.append(action))
    socket, _ = await site.open_socket(path="/x")
    socket.leave()
    await socket.ended()
    refused = site.socket(path="/x")
    site.worker.reply(await site.worker.take("websocket.connect"), accept=False)
    await refused.ended()
    details = {"path": "/x", "client": "10.0.0.1:4321"}
    assert actions == [
        ("websocket", "connecting", details),
        ("websocket", "connected", details),
        ("websocket", "disconnected", details),
        ("websocket", "connecting", details),
        ("websocket", "rejected", details),
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (State.OPEN, State.CONNECTING),
        (State.OPEN, State.OPEN),
        (State.CLOSING, State.OPEN),
        (State.CLOSED, State.CLOSING),
    ],
)
def test_a_socket_never_goes_back(old: State, new: State) -> None:
    with pytest.raises(InvalidTransition, match=f"{old.value} cannot become {new.value}"):
        transition(old, new)
