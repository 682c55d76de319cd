from django import forms
from django.db.models import F, Max
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.crypto import get_random_string
from django.utils.text import slugify

from .models import Room


class RoomForm(forms.ModelForm):
    class Meta:
        model = Room
        fields = ("title",)


def index(request):
    form = RoomForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        title = form.cleaned_data["title"]
        slug = slugify(title)[:50] or get_random_string(8).lower()
        room, _ = Room.objects.get_or_create(slug=slug, defaults={"title": title})
        return redirect(room)
    rooms = Room.objects.annotate(active=Max("messages__created"))
    rooms = rooms.order_by(F("active").desc(nulls_last=True), "title")
    return render(request, "chat/index.html", {"rooms": rooms, "form": form})


def room(request, slug):
    room = get_object_or_404(Room, slug=slug)
    return render(request, "chat/room.html", {"room": room})
