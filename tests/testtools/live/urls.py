import os
import threading
from typing import Any

from django.conf import settings as project
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path

settings: Any = project

#: Two requests that can only be answered at the same time.
together = threading.Barrier(2, timeout=10)


def users(request: HttpRequest) -> HttpResponse:
    return JsonResponse([user.username for user in User.objects.all()], safe=False)


def greeting(request: HttpRequest) -> HttpResponse:
    return HttpResponse(settings.SHOUT(settings.GREETING))


def meet(request: HttpRequest) -> HttpResponse:
    together.wait()
    return HttpResponse("met")


def process_id(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(os.getpid()))


urlpatterns = [
    path("users", users),
    path("greeting", greeting),
    path("meet", meet),
    path("pid", process_id),
]
