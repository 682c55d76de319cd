import json

from channels import Channel, Group
from channels.generic import BaseConsumer
from channels.generic.websockets import JsonWebsocketConsumer, WebsocketDemultiplexer

from .bindings import BoardBinding, ReportBinding, WidgetBinding
from .models import Board, Report


class CommandConsumer(JsonWebsocketConsumer):
    """Buttons of the page: things that are done in the background."""

    def connect(self, message, multiplexer=None, **kwargs):
        multiplexer.send({"status": "connected"})

    def receive(self, content, multiplexer=None, slug=None, **kwargs):
        if content.get("command") == "report":
            report = Report.objects.create(board=Board.objects.get(slug=slug), title="Report")
            Channel("thumbnails").send({"report": str(report.pk), "board": slug})
            multiplexer.send({"status": "started", "report": report.pk})
        elif content.get("command") == "announce":
            multiplexer.group_send(
                "board-%s" % slug, multiplexer.stream, {"said": content["text"]}
            )
        else:
            multiplexer.send({"status": "unknown"})

    def disconnect(self, message, multiplexer=None, **kwargs):
        Group("leavers").send({"left": str(message.reply_channel)})


def echo(message, multiplexer=None, **kwargs):
    """A stream need not be a class."""
    if message.channel.name == "websocket.receive":
        multiplexer.send(json.loads(message["text"]))


class Demultiplexer(WebsocketDemultiplexer):
    http_user = True
    strict_ordering = True

    consumers = {
        "widgets": WidgetBinding.consumer,
        "reports": ReportBinding.consumer,
        "boards": BoardBinding.consumer,
        "commands": CommandConsumer,
        "echo": echo,
    }

    def connection_groups(self, slug=None, **kwargs):
        return ["board-%s" % slug]

    def connect(self, message, slug=None, **kwargs):
        if not Board.objects.filter(slug=slug).exists():
            self.close()
            return
        super().connect(message, slug=slug, **kwargs)


class StatusConsumer(JsonWebsocketConsumer):
    """A socket of its own, without streams."""

    http_user_and_session = True
    groups = ["status"]

    def connect(self, message, **kwargs):
        super().connect(message, **kwargs)
        self.send({"user": message.user.username or None})

    def receive(self, content, **kwargs):
        if content == "bye":
            self.send({"bye": self.path}, close=True)
        elif content == "visits":
            session = self.message.http_session
            self.send({"visits": session.get("visits") if session else None})
        else:
            self.group_send("status", {"user": self.message.user.username, "content": content})


class ReportConsumer(BaseConsumer):
    """What is done in the background."""

    method_mapping = {
        "thumbnails": "make_thumbnail",
        "reports.clean": "clean",
    }

    def make_thumbnail(self, message, **kwargs):
        report = Report.objects.get(pk=message["report"])
        report.state = "working"
        report.save()
        report.thumbnail = report.title[::-1]
        report.state = "done"
        report.save()
        Channel("asgi.delay").send(
            {"channel": "reports.clean", "content": {"report": message["report"]}, "delay": 50}
        )

    def clean(self, message, **kwargs):
        Report.objects.filter(pk=message["report"], state="done").delete()
