from channels.routing import include, route, route_class

from .consumers import Demultiplexer, ReportConsumer, StatusConsumer

live_routing = [
    route_class(Demultiplexer, path=r"^/(?P<slug>[^/]+)/$"),
]

channel_routing = [
    include("tests.ports.dashboard.routing.live_routing", path=r"^/live"),
    StatusConsumer.as_route(path=r"^/status/$"),
    route(["thumbnails", "reports.clean"], ReportConsumer),
]
