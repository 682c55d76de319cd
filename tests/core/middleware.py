"""Middleware for the tests of the handler."""

from __future__ import annotations

from typing import Any

from asgiref.sync import markcoroutinefunction
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

from .urls import notes


def noting(get_response: Any) -> Any:
    """Notes the form before the view, and the response after it."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        notes.append(request.POST.dict())
        response: HttpResponseBase = get_response(request)
        notes.append(response.status_code)
        response["X-Noted"] = "yes"
        return response

    return middleware


@sync_and_async_middleware
def either(get_response: Any) -> Any:
    return noting(get_response)


class OnlyAsync:
    """A middleware that runs in an event loop only."""

    sync_capable = False
    async_capable = True

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response
        markcoroutinefunction(self)

    async def __call__(self, request: HttpRequest) -> HttpResponseBase:
        notes.append("before")
        response: HttpResponseBase = await self.get_response(request)
        notes.append(response.status_code)
        response["X-Noted"] = "yes"
        return response
