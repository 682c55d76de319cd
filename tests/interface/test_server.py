"""End to end: real sockets through uvicorn."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect, unix_connect

from channels.interface.server import Server, tcp_endpoint, unix_endpoint
from channels.layers import InMemoryChannelLayer

LOCAL = tcp_endpoint("127.0.0.1", 0)


class Echo(threading.Thread):
    """A worker: answers requests with their path and body, and echoes frames."""

    def __init__(self, layer: Any) -> None:
        super().__init__(daemon=True)
        self.layer = layer
        self.ending = threading.Event()
        self.disconnects: dict[str, Any] = {}
        self.disconnected = threading.Condition()

    def run(self) -> None:
        channels = [
            "http.request",
            "websocket.connect",
            "websocket.receive",
            "websocket.disconnect",
        ]
        while not self.ending.is_set():
            channel, message = self.layer.receive(channels, block=True)
            if channel is not None:
                getattr(self, channel.replace(".", "_"))(message)

    def http_request(self, message: Any) -> None:
        body = message["body"]
        more = "body_channel" in message
        while more:
            _, chunk = self.layer.receive([message["body_channel"]], block=True)
            if chunk is not None:
                body += chunk["content"]
                more = chunk["more_content"]
        reply = message["reply_channel"]
        if message["path"] == "/stream":
            self.layer.send(reply, {"status": 200, "content": b"a", "more_content": True})
            self.layer.send(reply, {"content": b"b", "more_content": True})
            self.layer.send(reply, {"content": b"c"})
        elif message["path"] == "/abort":
            self.layer.send(reply, {"status": 200, "content": b"a", "more_content": True})
            self.layer.send(reply, {"aborted": True})
        elif message["path"] != "/silence":
            content = message["path"].encode() + b" " + body
            headers = [[b"Content-Length", str(len(content)).encode()], [b"X-Echo", b"1"]]
            self.layer.send(reply, {"status": 200, "headers": headers, "content": content})

    def websocket_connect(self, message: Any) -> None:
        if message["path"] != "/silence":
            self.layer.send(message["reply_channel"], {"accept": message["path"] != "/denied"})

    def websocket_receive(self, message: Any) -> None:
        if message.get("text") == "close":
            reply = {"close": 4001, "reason": "as asked"}
        else:
            reply = {key: message[key] for key in ("text", "bytes") if key in message}
        self.layer.send(message["reply_channel"], reply)

    def websocket_disconnect(self, message: Any) -> None:
        with self.disconnected:
            self.disconnects[message["path"]] = message
            self.disconnected.notify_all()

    def disconnect_of(self, path: str) -> Any:
        """The ``websocket.disconnect`` of the socket at ``path``, which must come."""
        with self.disconnected:
            assert self.disconnected.wait_for(lambda: path in self.disconnects, 10)
            return self.disconnects.pop(path)


class Running:
    """A server in a thread, with a worker."""

    def __init__(self, **options: Any) -> None:
        self.layer = InMemoryChannelLayer()
        self.echo = Echo(self.layer)
        options.setdefault("endpoints", [LOCAL])
        self.server = Server(channel_layer=self.layer, **options)
        self.thread = threading.Thread(target=self.server.run)

    def __enter__(self) -> Running:
        self.echo.start()
        self.thread.start()
        assert self.server.ready.wait(10)
        return self

    def __exit__(self, *exc_info: Any) -> None:
        self.stop()
        self.echo.ending.set()
        self.echo.join(5)

    def stop(self) -> None:
        self.server.stop()
        self.thread.join(15)
        assert not self.thread.is_alive()

    def url(self, scheme: str, path: str) -> str:
        return f"{scheme}://127.0.0.1:{self.server.port}{path}"


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with Running(max_frame_size=1000) as found:
        yield found


@pytest.fixture(scope="module")
def impatient() -> Iterator[Running]:
    with Running(websocket_handshake_timeout=0.3, http_timeout=0.5) as found:
        yield found


class TestHttp:
    def test_a_request_is_answered(self, running: Running) -> None:
        response = httpx.post(running.url("http", "/caf%C3%A9"), content=b"body")
        assert response.status_code == 200
        assert response.content == "/caf\u00e9 body".encode()
        assert response.headers["x-echo"] == "1"
        assert "server" not in response.headers

    def test_a_large_body_arrives_whole(self, running: Running) -> None:
        body = bytes(range(256)) * 20_000
        response = httpx.post(running.url("http", "/"), content=body)
        assert response.content == b"/ " + body

    def test_a_streamed_response_arrives_whole(self, running: Running) -> None:
        assert httpx.get(running.url("http", "/stream")).content == b"abc"

    def test_an_aborted_response_is_seen_as_incomplete(self, running: Running) -> None:
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.get(running.url("http", "/abort"))

    def test_silence_is_503(self, impatient: Running) -> None:
        response = httpx.get(impatient.url("http", "/silence"))
        assert response.status_code == 503
        assert response.headers["retry-after"]

    def test_connections_are_kept_alive(self, running: Running) -> None:
        with httpx.Client() as client:
            for number in range(3):
                response = client.get(running.url("http", f"/{number}"))
                assert response.content == f"/{number} ".encode()

    def test_a_path_that_is_not_utf8_is_400(self, running: Running) -> None:
        assert httpx.get(running.url("http", "/%ff")).status_code == 400


class TestWebSocket:
    def test_frames_are_echoed(self, running: Running) -> None:
        with connect(running.url("ws", "/")) as client:
            for frame in ("text", "", b"bytes", "caf\u00e9"):
                client.send(frame)
                if frame:
                    assert client.recv(5) == frame

    def test_the_worker_closes_with_code_and_reason(self, running: Running) -> None:
        with connect(running.url("ws", "/reason")) as client:
            client.send("close")
            with pytest.raises(ConnectionClosed) as closed:
                client.recv(5)
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4001, "as asked")
        assert running.echo.disconnect_of("/reason")["code"] == 4001

    def test_the_client_closes_with_code_and_reason(self, running: Running) -> None:
        with connect(running.url("ws", "/reason")) as client:
            client.close(4002, "enough")
        disconnect = running.echo.disconnect_of("/reason")
        assert (disconnect["code"], disconnect["reason"]) == (4002, "enough")

    def test_a_refusal_is_403(self, running: Running) -> None:
        with pytest.raises(InvalidStatus) as refused:
            connect(running.url("ws", "/denied"))
        assert refused.value.response.status_code == 403
        assert running.echo.disconnect_of("/denied")["code"] == 1006

    def test_silence_is_503(self, impatient: Running) -> None:
        with pytest.raises(InvalidStatus) as refused:
            connect(impatient.url("ws", "/silence"))
        assert refused.value.response.status_code == 503
        assert impatient.echo.disconnect_of("/silence")["code"] == 1006

    @pytest.mark.parametrize("size", [1001, 100_000])
    def test_a_frame_over_the_limit_is_1009(self, running: Running, size: int) -> None:
        with connect(running.url("ws", "/1009")) as client:
            client.send(b"x" * size)
            with pytest.raises(ConnectionClosed) as closed:
                client.recv(5)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009
        assert running.echo.disconnect_of("/1009")["code"] == 1009

    def test_a_frame_of_the_limit_passes(self, running: Running) -> None:
        with connect(running.url("ws", "/passes")) as client:
            client.send(b"x" * 1000)
            assert len(client.recv(5)) == 1000
        running.echo.disconnect_of("/passes")

    def test_a_foreign_origin_is_403(self, running: Running) -> None:
        with pytest.raises(InvalidStatus) as refused:
            connect(running.url("ws", "/"), origin="https://evil.example")  # type: ignore[arg-type]
        assert refused.value.response.status_code == 403

    def test_a_connection_that_breaks_is_disconnected(self, running: Running) -> None:
        with connect(running.url("ws", "/disconnected")) as client:
            client.socket.shutdown(socket.SHUT_RDWR)
            assert running.echo.disconnect_of("/disconnected")["code"] in (1005, 1006)


class TestShutdown:
    def test_sockets_are_closed_with_1012_and_disconnected(self) -> None:
        with Running() as running:
            with connect(running.url("ws", "/disconnected")) as client:
                client.send("a")
                client.recv(5)
                running.server.stop()
                with pytest.raises(ConnectionClosed) as closed:
                    client.recv(5)
            running.stop()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1012
            assert running.echo.disconnect_of("/disconnected")["code"] == 1012

    def test_a_server_that_was_stopped_before_it_ran_ends_at_once(self) -> None:
        server = Server(channel_layer=InMemoryChannelLayer(), endpoints=[LOCAL])
        server.stop()
        thread = threading.Thread(target=server.run)
        thread.start()
        thread.join(10)
        assert not thread.is_alive()


class TestServer:
    def test_the_caller_learns_when_it_is_ready(self) -> None:
        ports: list[int] = []
        with Running(on_ready=lambda server: ports.append(server.port)) as running:
            assert ports == [running.server.port]
            assert str(ports[0]) in repr(running.server)

    def test_it_listens_on_every_endpoint(self, tmp_path: Path) -> None:
        path = str(tmp_path / "site:1.sock")
        with Running(endpoints=[LOCAL, unix_endpoint(path)]) as running:
            with connect(running.url("ws", "/")) as client:
                client.send("tcp")
                assert client.recv(5) == "tcp"
            with unix_connect(path, uri="ws://localhost/") as client:
                client.send("unix")
                assert client.recv(5) == "unix"

    @pytest.mark.skipif(not socket.has_ipv6, reason="needs IPv6")
    def test_it_listens_on_ipv6(self) -> None:
        endpoint = tcp_endpoint("::1", 0)
        assert endpoint == r"tcp:port=0:interface=\:\:1"
        try:
            socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        except OSError:
            pytest.skip("IPv6 is not configured")
        with Running(endpoints=[endpoint]) as running:
            response = httpx.get(f"http://[::1]:{running.server.port}/x")
            assert response.content == b"/x "

    def test_a_layer_in_a_wrapper_and_unknown_options_are_taken(self) -> None:
        class Wrapper:
            channel_layer = InMemoryChannelLayer()

        server = Server(channel_layer=Wrapper(), root_path="/sub", verbosity=3)  # type: ignore[arg-type]
        assert server.application.channel_layer is Wrapper.channel_layer
        assert server.application.options.root_path == "/sub"

    def test_a_port_in_use_is_an_oserror(self, tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            server = Server(
                channel_layer=InMemoryChannelLayer(),
                endpoints=[LOCAL, tcp_endpoint("127.0.0.1", port)],
            )
            with pytest.raises(OSError, match="in use"):
                server.run()
        missing = unix_endpoint(str(tmp_path / "missing" / "site.sock"))
        with pytest.raises(OSError, match="No such file"):
            Server(channel_layer=InMemoryChannelLayer(), endpoints=[missing]).run()

    def test_a_port_that_cannot_be_is_no_other_port(self) -> None:
        server = Server(
            channel_layer=InMemoryChannelLayer(), endpoints=[tcp_endpoint("127.0.0.1", 2**16)]
        )
        server.stop()
        with pytest.raises(OSError, match="not 65536"):
            server.run()

    @pytest.mark.parametrize(
        "endpoint", ["ssl:port=443", "tcp:interface=x", "tcp:port=x", "unix:", "nonsense"]
    )
    def test_an_endpoint_that_is_not_understood_is_named(self, endpoint: str) -> None:
        with pytest.raises(ValueError, match=endpoint):
            Server(channel_layer=InMemoryChannelLayer(), endpoints=[endpoint])

    def test_without_uvicorn_the_extra_is_named(self, monkeypatch: Any) -> None:
        monkeypatch.setitem(sys.modules, "uvicorn", None)
        server = Server(channel_layer=InMemoryChannelLayer(), endpoints=[LOCAL])
        with pytest.raises(ImportError, match=r"channels\[server\]"):
            server.run()
