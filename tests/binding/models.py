"""Models of every kind that a binding may meet."""

from __future__ import annotations

import uuid

from django.db import models


class Room(models.Model):
    name = models.CharField(max_length=20)
    is_open = models.BooleanField(default=True)


class Tag(models.Model):
    name = models.CharField(max_length=20)


class Post(models.Model):
    title = models.CharField(max_length=20)
    secret = models.CharField(max_length=20, default="initial")
    score = models.IntegerField(default=0)
    price = models.DecimalField(max_digits=6, decimal_places=2, null=True)
    extra = models.JSONField(null=True)
    attachment = models.FileField(blank=True)
    changed = models.DateTimeField(auto_now=True)
    room = models.ForeignKey(
        Room, models.CASCADE, null=True, limit_choices_to={"is_open": True}, related_name="posts"
    )
    tags = models.ManyToManyField(Tag)
    open_rooms = models.ManyToManyField(
        Room, limit_choices_to={"is_open": True}, related_name="open_posts"
    )
    readers = models.ManyToManyField(Room, through="Reading", related_name="read_posts")

    def shout(self) -> str:
        return self.title.upper()


class PostProxy(Post):
    class Meta:
        proxy = True


class Reading(models.Model):
    post = models.ForeignKey(Post, models.CASCADE)
    room = models.ForeignKey(Room, models.CASCADE)


class UuidKeyed(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    name = models.CharField(max_length=20)


class TextKeyed(models.Model):
    code = models.CharField(max_length=20, primary_key=True)
    name = models.CharField(max_length=20)


class BytesKeyed(models.Model):
    key = models.BinaryField(primary_key=True, max_length=20)


class PairKeyed(models.Model):
    pk = models.CompositePrimaryKey("room_number", "seat")
    room_number = models.IntegerField()
    seat = models.CharField(max_length=5)
    guest = models.CharField(max_length=20)


class Animal(models.Model):
    name = models.CharField(max_length=20)


class Dog(Animal):
    breed = models.CharField(max_length=20)


class CodedDog(TextKeyed):
    breed = models.CharField(max_length=20)


class OnlyOpen(models.Manager["Filtered"]):
    def get_queryset(self) -> models.QuerySet[Filtered]:
        return super().get_queryset().filter(is_open=True)


class Filtered(models.Model):
    """The default manager knows all rows, ``objects`` does not."""

    name = models.CharField(max_length=20)
    is_open = models.BooleanField(default=True)

    everything = models.Manager["Filtered"]()
    objects = OnlyOpen()


class WithoutObjects(models.Model):
    name = models.CharField(max_length=20)

    rows = models.Manager["WithoutObjects"]()
