from channels import route, route_class

from . import consumers

routing = [
    route_class(consumers.Demultiplexer, path=r"^/live/$"),
    route("count-words", consumers.count_words),
    route("announce", consumers.announce),
]
