"""What readers are told about posts, and what they may do to them."""

import copy
from functools import partial

from django.db import transaction
from django.utils import timezone

from channels.binding.base import DELETE
from channels.binding.websockets import WebsocketBinding

from .models import Post


class PostBinding(WebsocketBinding):
    model = Post
    stream = "posts"
    fields = ("title", "text", "publish_at", "words", "changed")
    channel_session_user = False  # Readers may do nothing, whoever they are.

    @classmethod
    def group_names(cls, post):
        return ["readers"] if post.is_public else []

    @classmethod
    def pre_change_receiver(cls, post, action):
        # ``post`` has its new values already. Who can see it so far is what its row says.
        stored = Post.objects.filter(pk=post.pk)
        super().pre_change_receiver(post, action)
        post._binding_group_names[cls] = {name for row in stored for name in cls.group_names(row)}

    def send_messages(self, post, group_names, action, **kwargs):
        # When the change is certain. A copy, as Django takes the key from what it has deleted.
        send = super().send_messages
        transaction.on_commit(partial(send, copy.copy(post), group_names, action, **kwargs))

    def serialize(self, post, action):
        payload = super().serialize(post, action)
        if action == DELETE:  # It may be a draft from now on, with new text in it.
            payload["data"] = {"changed": timezone.now()}
        return payload

    def has_permission(self, user, action, pk):
        return False
