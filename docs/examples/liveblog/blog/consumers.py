"""What happens on the sockets of the readers, and in the background."""

from django.db import transaction

from channels.binding.base import CREATE
from channels.exceptions import WebsocketCloseException
from channels.generic.websockets import WebsocketDemultiplexer

from .bindings import PostBinding
from .models import Post

#: Posts that a page gets when it connects.
LATEST = 30


class Demultiplexer(WebsocketDemultiplexer):
    groups = ("readers",)
    consumers = {"posts": PostBinding.consumer}  # noqa: RUF012

    def connect(self, message, **kwargs):
        super().connect(message, **kwargs)
        binding = PostBinding()
        posts = [binding.serialize(post, CREATE) for post in Post.objects.public()[:LATEST]]
        stream = self.multiplexer_class("posts", message.reply_channel)
        stream.send({"action": "list", "posts": posts})

    def raw_receive(self, message, **kwargs):
        try:
            super().raw_receive(message, **kwargs)
        except ValueError as error:  # No frame of our page: not worth a traceback.
            raise WebsocketCloseException(4000) from error


def count_words(message):
    with transaction.atomic():
        # Locked: a post that somebody withdraws meanwhile must not be sent as it was before.
        post = Post.objects.select_for_update().filter(pk=message["post"]).first()
        if post is None:
            return
        words = len(post.text.split())
        if words != post.words:
            post.words = words
            post.save(update_fields=["words", "changed"])


def announce(message):
    """A scheduled post is due, unless it has been withdrawn or put off."""
    post = Post.objects.filter(pk=message["post"]).first()
    if post is None or post.publish_at is None:
        return
    if post.is_public:
        PostBinding().send_messages(post, PostBinding.group_names(post), CREATE)
    else:
        post.schedule()
