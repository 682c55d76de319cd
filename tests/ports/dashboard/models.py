import uuid

from django.conf import settings
from django.db import models


class Board(models.Model):
    slug = models.SlugField(unique=True)
    title = models.CharField(max_length=100)
    token = models.CharField(max_length=100, default="board token")

    def __str__(self):
        return self.title


class Widget(models.Model):
    board = models.ForeignKey(Board, related_name="widgets", on_delete=models.CASCADE)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.CASCADE)
    name = models.CharField(max_length=100)
    value = models.IntegerField(default=0)
    secret = models.CharField(max_length=100, default="widget secret")

    def __str__(self):
        return self.name


class Report(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    board = models.ForeignKey(Board, related_name="reports", on_delete=models.CASCADE)
    title = models.CharField(max_length=100)
    state = models.CharField(max_length=20, default="new")
    thumbnail = models.TextField(blank=True)

    def __str__(self):
        return self.title

    def summary(self):
        return "%s is %s" % (self.title, self.state)


class WorkerStart(models.Model):
    """When and where workers were started."""

    kind = models.CharField(max_length=100)

    def __str__(self):
        return self.kind
