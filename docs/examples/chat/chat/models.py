from django.db import models
from django.urls import reverse


class Room(models.Model):
    title = models.CharField(max_length=50)
    slug = models.SlugField(unique=True)

    def __str__(self):
        return self.title

    def get_absolute_url(self):
        return reverse("room", args=[self.slug])


class Message(models.Model):
    room = models.ForeignKey(Room, models.CASCADE, related_name="messages")
    #: Chosen by the page, so that a message which it sends twice is stored once.
    key = models.CharField(max_length=50)
    name = models.CharField(max_length=30)
    text = models.CharField(max_length=1000)
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["room", "key"], name="message_stored_once"),
        )

    def __str__(self):
        return f"{self.name}: {self.text}"


class Presence(models.Model):
    """An open socket. Its row is made when it opens and deleted when it closes."""

    room = models.ForeignKey(Room, models.CASCADE, related_name="presences")
    reply_channel = models.CharField(max_length=100, unique=True)
    name = models.CharField(max_length=30)
    created = models.DateTimeField(auto_now_add=True)

    def __str__(self):
        return f"{self.name} in {self.room}"
