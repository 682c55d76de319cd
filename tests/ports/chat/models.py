import json

from django.conf import settings
from django.db import models
from django.utils import timezone

from channels import Group


class Room(models.Model):
    slug = models.SlugField(unique=True)
    title = models.CharField(max_length=255)
    staff_only = models.BooleanField(default=False)

    def __str__(self):
        return self.title

    @property
    def websocket_group(self):
        return Group("room-%s" % self.slug)

    @property
    def poll_group(self):
        return Group("poll-%s" % self.slug)

    def tell(self, kind, **content):
        """Send to everybody in the room."""
        self.websocket_group.send({"text": json.dumps(dict(content, type=kind, room=self.slug))})


class Line(models.Model):
    room = models.ForeignKey(Room, related_name="lines", on_delete=models.CASCADE)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.CASCADE)
    text = models.TextField()

    class Meta:
        ordering = ["pk"]

    def __str__(self):
        return "%s: %s" % (self.user or "somebody", self.text)

    def as_dict(self):
        name = self.user.username if self.user else None
        return {"id": self.pk, "user": name, "text": self.text}


class PresenceManager(models.Manager):
    def touch(self, channel, room=None, user=None):
        """Note that the socket lives; of a new one, where it is and whose."""
        if room is None:
            self.filter(channel_name=channel).update(last_seen=timezone.now())
            return
        user = user if user is not None and user.is_authenticated else None
        self.update_or_create(
            channel_name=channel,
            defaults={"room": room, "user": user, "last_seen": timezone.now()},
        )

    def names(self, room):
        found = self.filter(room=room).values_list("user__username", flat=True)
        return sorted({name or "anonymous" for name in found})


class Presence(models.Model):
    room = models.ForeignKey(Room, on_delete=models.CASCADE)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.CASCADE)
    channel_name = models.CharField(max_length=255, unique=True)
    last_seen = models.DateTimeField(default=timezone.now)

    objects = PresenceManager()

    def __str__(self):
        return self.channel_name
