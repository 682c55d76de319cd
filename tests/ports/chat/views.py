from django.contrib.auth import authenticate, login
from django.http import HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404

from channels.handler import AsgiRequest

from .models import Line, Presence, Room


def index(request):
    return HttpResponse(", ".join(room.title for room in Room.objects.order_by("title")))


def log_in(request):
    user = authenticate(username=request.POST["username"], password=request.POST["password"])
    if user is None:
        return HttpResponse("no", status=403)
    login(request, user)
    return HttpResponse("yes")


def say(request, slug):
    room = get_object_or_404(Room, slug=slug)
    user = request.user if request.user.is_authenticated else None
    line = Line.objects.create(room=room, user=user, text=request.POST["text"])
    return JsonResponse(line.as_dict())


def poll(request, slug):
    room = get_object_or_404(Room, slug=slug)
    lines = room.lines.filter(pk__gt=int(request.GET.get("since", 0)))
    if lines:
        return JsonResponse({"lines": [line.as_dict() for line in lines]})
    room.poll_group.add(request.reply_channel)
    raise AsgiRequest.ResponseLater()


def who(request, slug):
    return JsonResponse({"names": Presence.objects.names(get_object_or_404(Room, slug=slug))})
