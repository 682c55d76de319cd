from datetime import timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from blog.models import Post
from channels.delay.models import DelayedMessage

#: Title, text, and minutes from now until it is published.
POSTS = (
    (
        "Welcome",
        "Open the admin in another window, and log in as admin with the password admin.\n\n"
        "What you write, change, withdraw or delete there is seen here at once.",
        -20,
    ),
    (
        "Somebody else counts",
        "The number of words below each post comes from a worker. It arrives a moment after "
        "the post itself, as one more update.",
        -5,
    ),
    ("Right on time", "This post was scheduled, and a delayed message has published it.", 1),
    ("A draft", "Nobody sees this before it has a date.", None),
)


class Command(BaseCommand):
    help = "Makes the user admin with the password admin, and the first posts. With DEBUG only."

    def handle(self, *args, **options):
        if not settings.DEBUG:
            raise CommandError("This is for DEBUG only, as everybody knows the password it sets.")
        if not User.objects.exists():
            User.objects.create_superuser("admin", password="admin")
            self.stdout.write("Log in at /admin/ as admin with the password admin.")
        if not Post.objects.exists():
            # Messages that a command sends reach no worker in another process's memory. So the
            # words are counted here, and the delayed message goes to the database directly.
            now = timezone.now()
            for title, text, minutes in POSTS:
                at = None if minutes is None else now + timedelta(minutes=minutes)
                post = Post(title=title, text=text, publish_at=at, words=len(text.split()))
                Post.objects.bulk_create([post])
                if at and at > now:
                    content = {"post": post.pk}
                    DelayedMessage.objects.create(
                        due_date=at, channel_name="announce", content=content
                    )
