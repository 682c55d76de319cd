from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver
from django.http import JsonResponse

from channels.handler import AsgiHandler

from .models import Line, Presence


@receiver(post_save, sender=Line)
def tell_everybody(sender, instance, created, **kwargs):
    if not created:
        return
    instance.room.tell("line", **instance.as_dict())
    # The browsers without WebSockets wait for the answer to their request.
    for reply in AsgiHandler.encode_response(JsonResponse({"lines": [instance.as_dict()]})):
        instance.room.poll_group.send(reply)


@receiver([post_save, post_delete], sender=Presence)
def tell_who_is_here(sender, instance, **kwargs):
    instance.room.tell("presence", names=Presence.objects.names(instance.room))
