import math

from django.db import models, transaction
from django.utils import timezone

from channels import Channel


class PostQuerySet(models.QuerySet):
    def public(self):
        return self.filter(publish_at__lte=timezone.now())


class Post(models.Model):
    title = models.CharField(max_length=100)
    text = models.TextField(max_length=5000)
    publish_at = models.DateTimeField(
        "publish at", null=True, blank=True, help_text="Empty: a draft. Later than now: scheduled."
    )
    words = models.PositiveIntegerField(default=0, editable=False)
    changed = models.DateTimeField(auto_now=True)

    objects = PostQuerySet.as_manager()

    class Meta:
        ordering = ("-publish_at", "-pk")

    def __str__(self):
        return self.title

    @property
    def is_public(self):
        return self.publish_at is not None and self.publish_at <= timezone.now()

    def save(self, *, update_fields=None, **options):
        super().save(update_fields=update_fields, **options)
        if update_fields is None:
            # Not before the workers can see the row.
            transaction.on_commit(self.follow_up)

    def follow_up(self):
        """Have others do what the request that saved this post need not wait for."""
        Channel("count-words").send({"post": self.pk})
        if self.publish_at and not self.is_public:
            self.schedule()

    def schedule(self):
        """Send a message to ``announce`` when it is time to publish."""
        seconds = (self.publish_at - timezone.now()).total_seconds()
        Channel("asgi.delay").send(
            {
                "channel": "announce",
                "content": {"post": self.pk},
                "delay": max(0, math.ceil(seconds * 1000)),
            }
        )
