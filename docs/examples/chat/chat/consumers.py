"""What happens on the sockets of the chat. Every frame is JSON with a ``type``."""

import json
from datetime import timedelta
from urllib.parse import parse_qs

from django.utils import timezone

from channels import Group
from channels.exceptions import DenyConnection

from .models import Message, Presence, Room

#: Messages that a page gets when it connects.
HISTORY = 100

#: Nothing that concerns a closed socket is still on its way after this: messages expire.
SETTLED = timedelta(minutes=2)


def connect(message, slug):
    room = Room.objects.filter(slug=slug).first()
    if room is None:
        raise DenyConnection
    name, since = read_query(message["query_string"])
    group = group_of(slug)
    group.add(message.reply_channel)
    presence, created = Presence.objects.get_or_create(
        reply_channel=message.reply_channel.name, defaults={"room": room, "name": name}
    )
    if not created:  # The socket has closed, and another worker was faster with that.
        group.discard(message.reply_channel)
        presence.delete()
        return
    message.reply_channel.send({"accept": True})
    send(message.reply_channel, "history", messages=history(room, since))
    send(message.reply_channel, "people", people=people(room, group), you=presence.pk)
    send(group, "joined", id=presence.pk, name=name)


def receive(message, slug):
    presence = Presence.objects.filter(reply_channel=message.reply_channel.name).first()
    if presence is None:
        # The group has lost this socket, and the room took it for closed: the page comes back.
        message.reply_channel.send({"close": 4000})
        return
    said = read_frame(message.get("text"))
    if said is None:
        send(message.reply_channel, "refused", reason="That was no message of 1 to 1000 letters.")
        return
    key, text = said
    stored, _ = Message.objects.get_or_create(
        room_id=presence.room_id, key=key, defaults={"name": presence.name, "text": text}
    )
    send(group_of(slug), "message", **as_json(stored))


def disconnect(message, slug):
    room = Room.objects.filter(slug=slug).first()
    if room is None:
        return
    group = group_of(slug)
    group.discard(message.reply_channel)
    presence, created = Presence.objects.get_or_create(
        reply_channel=message.reply_channel.name, defaults={"room": room, "name": ""}
    )
    if created:  # Too early: the connect consumer, which is still busy, finds the row.
        return
    send(group, "left", id=presence.pk, name=presence.name)
    presence.delete()


def group_of(slug):
    return Group(f"chat.{slug}")


def send(target, kind, **values):
    """Send a frame to a socket (its reply channel) or to a group of them."""
    target.send({"text": json.dumps({"type": kind, **values})})


def history(room, since):
    """The last messages of the room, the oldest first, but none up to the id ``since``."""
    newest = room.messages.filter(pk__gt=since).order_by("-pk")[:HISTORY]
    return [as_json(stored) for stored in reversed(newest)]


def people(room, group):
    """Who is here. The group knows which sockets still live, also after a server crashed."""
    presences = list(room.presences.order_by("pk"))
    members = set(group.channels())
    gone = [p.pk for p in presences if p.reply_channel not in members]
    Presence.objects.filter(pk__in=gone, created__lt=timezone.now() - SETTLED).delete()
    here = [p for p in presences if p.name and p.pk not in gone]
    return [{"id": p.pk, "name": p.name} for p in here]


def as_json(stored):
    return {
        "id": stored.pk,
        "key": stored.key,
        "name": stored.name,
        "text": stored.text,
        "at": stored.created.isoformat(),
    }


def read_query(query_string):
    """The name, and the id of the last message that the page has; never raises."""
    query = parse_qs(query_string.decode("utf-8", "replace"))
    name = " ".join(query.get("name", [""])[0].replace("\0", "").split())[:30].strip()
    since = query.get("since", ["0"])[0]
    return name or "Guest", int(since) if since.isdecimal() and len(since) < 16 else 0


def read_frame(frame):
    """The key and the text of what a page said, ``None`` for anything else; never raises."""
    try:
        data = json.loads(frame)
        key, text = data["key"], data["text"].strip()
        (key + text).encode()  # Half a surrogate pair is JSON, but no text.
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
        return None
    if "\0" in key + text or not 0 < len(key) <= 50 or not 0 < len(text) <= 1000:
        return None
    return key, text
