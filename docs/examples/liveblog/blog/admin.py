from django.contrib import admin
from django.db import transaction
from django.utils import timezone

from .models import Post


@admin.register(Post)
class PostAdmin(admin.ModelAdmin):
    list_display = ("title", "state", "publish_at", "words")
    fields = ("title", "text", "publish_at", "words")
    readonly_fields = ("words",)
    actions = ("publish", "withdraw")

    @admin.display
    def state(self, post):
        if post.publish_at is None:
            return "Draft"
        return "Public" if post.is_public else "Scheduled"

    @admin.action(description="Publish selected posts now", permissions=["change"])
    def publish(self, request, queryset):
        self.set_publish_at(timezone.now(), [post for post in queryset if not post.is_public])

    @admin.action(description="Make drafts of selected posts", permissions=["change"])
    def withdraw(self, request, queryset):
        self.set_publish_at(None, queryset)

    def set_publish_at(self, moment, posts):
        with transaction.atomic():
            keys = [post.pk for post in posts]
            # One by one: readers are told by the signals of save(), which update() does not send.
            for post in Post.objects.select_for_update().filter(pk__in=keys):
                post.publish_at = moment
                post.save(update_fields=["publish_at", "changed"])
