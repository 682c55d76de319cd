import functools
import json

from django.http import HttpResponse

from channels import Channel, Group
from channels.auth import channel_session_user, channel_session_user_from_http
from channels.exceptions import ConsumeLater, DenyConnection
from channels.handler import AsgiHandler, AsgiRequest
from channels.sessions import channel_session, enforce_ordering

from .models import Line, Presence, Room


class ClientError(Exception):
    """Something that the client is told about."""

    def send_to(self, channel):
        channel.send({"text": json.dumps({"type": "error", "error": self.args[0]})})


def tells_client_errors(func):
    @functools.wraps(func)
    def inner(message, *args, **kwargs):
        try:
            return func(message, *args, **kwargs)
        except ClientError as error:
            error.send_to(message.reply_channel)

    return inner


@enforce_ordering
@channel_session_user_from_http
def ws_connect(message, slug):
    try:
        room = Room.objects.get(slug=slug)
    except Room.DoesNotExist:
        message.reply_channel.send({"accept": False})
        return
    if room.staff_only and not message.user.is_staff:
        raise DenyConnection()
    message.channel_session["room"] = room.slug
    message.reply_channel.send({"accept": True})
    room.websocket_group.add(message.reply_channel)
    Presence.objects.touch(message.reply_channel, room, message.user)


@enforce_ordering
@channel_session_user
@tells_client_errors
def ws_receive(message, slug):
    if "room" not in message.channel_session:
        return
    payload = json.loads(message["text"])
    if not isinstance(payload, dict) or "command" not in payload:
        raise ClientError("NO_COMMAND")
    if payload["command"] == "say":
        say(message, payload)
    else:
        # Everything else may take its time, and runs elsewhere.
        payload["reply_channel"] = message.content["reply_channel"]
        Channel("chat.command").send(payload)


def say(message, payload):
    if not message.user.is_authenticated:
        raise ClientError("LOG_IN")
    text = payload.get("text")
    if not isinstance(text, str) or not text.strip():
        raise ClientError("NO_TEXT")
    room = Room.objects.get(slug=message.channel_session["room"])
    Line.objects.create(room=room, user=message.user, text=text)
    message.channel_session["said"] = message.channel_session.get("said", 0) + 1


@enforce_ordering
@channel_session_user
def ws_disconnect(message, slug):
    Group("room-%s" % slug, channel_layer=message.channel_layer).discard(message.reply_channel)
    for presence in Presence.objects.filter(channel_name=message.reply_channel.name):
        presence.delete()


@channel_session
@tells_client_errors
def command_stats(message):
    message.reply_channel.send(
        {"text": json.dumps({"type": "stats", "said": message.channel_session.get("said", 0)})}
    )


@channel_session_user
def command_heartbeat(message):
    Presence.objects.touch(message.reply_channel)
    presence = Presence.objects.get(channel_name=message.reply_channel)
    content = {"channel_name": str(message.reply_channel), "seen": str(presence.last_seen)}
    Channel("asgi.delay").send(
        {"channel": "presence.prune", "content": content, "delay": message.get("patience", 200)}
    )


@channel_session_user
def command_later(message):
    """A command that is tried again until somebody has said something."""
    room = Room.objects.get(slug=message.channel_session["room"])
    if not room.lines.exists():
        raise ConsumeLater
    message.reply_channel.send({"text": json.dumps({"type": "later"})})


@tells_client_errors
def command_unknown(message, **kwargs):
    raise ClientError("UNKNOWN_COMMAND")


def prune(message):
    """Remove who has not been heard of since."""
    for presence in Presence.objects.filter(channel_name=message["channel_name"]):
        if str(presence.last_seen) == message["seen"]:
            presence.delete()


def poll_disconnect(message, slug):
    Group("poll-%s" % slug).discard(message.reply_channel)


def http_export(message, slug):
    """Plain text, without middleware and views."""
    request = AsgiRequest(message)
    lines = Line.objects.filter(room__slug=slug, room__staff_only=False)
    limit = int(request.GET.get("limit", 100))
    response = HttpResponse(
        "".join("%s\n" % line for line in lines[:limit]), content_type="text/plain"
    )
    response.set_cookie("exported", slug)
    response["X-Method"] = request.method
    for reply in AsgiHandler.encode_response(response):
        message.reply_channel.send(reply)


def http_api(message):
    """The views, with a word about each answer."""
    for number, reply in enumerate(AsgiHandler(message)):
        if number == 0:
            reply["headers"].append((b"X-Api", b"1"))
        message.reply_channel.send(reply)
