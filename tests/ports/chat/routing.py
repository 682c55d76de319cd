from channels import include, route

from .consumers import (
    command_heartbeat,
    command_later,
    command_stats,
    command_unknown,
    http_api,
    ws_connect,
    ws_disconnect,
    ws_receive,
)

websocket_routing = [
    route("websocket.connect", ws_connect, path=r"^/(?P<slug>[a-zA-Z0-9_-]+)/$"),
    route("websocket.receive", ws_receive, path=r"^/(?P<slug>[a-zA-Z0-9_-]+)/$"),
    route("websocket.disconnect", ws_disconnect, path=r"^/(?P<slug>[a-zA-Z0-9_-]+)/$"),
]

command_routing = [
    route("chat.command", command_stats, command="^stats$"),
    route("chat.command", command_heartbeat, command="^heartbeat$"),
    route("chat.command", command_later, command="^later$"),
    route("chat.command", command_unknown),
]

http_routing = [
    route(
        "http.request",
        "tests.ports.chat.consumers.http_export",
        path=r"^/export/(?P<slug>[a-zA-Z0-9_-]+)\.txt$",
        method=r"^(?:GET|HEAD)$",
    ),
    route("http.request", http_api, path=r"^/api/"),
    route(
        "http.disconnect",
        "tests.ports.chat.consumers.poll_disconnect",
        path=r"^/poll/(?P<slug>[a-zA-Z0-9_-]+)/$",
    ),
]

channel_routing = [
    include(websocket_routing, path=r"^/room"),
    include("tests.ports.chat.routing.command_routing"),
    include(http_routing),
    include({"presence.prune": "tests.ports.chat.consumers.prune"}),
]
