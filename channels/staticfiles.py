"""Serving static files during development, as ``django.contrib.staticfiles`` does."""

from __future__ import annotations

from urllib.parse import urlparse

from django.apps import apps
from django.conf import settings
from django.contrib.staticfiles.handlers import StaticFilesHandlerMixin
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from .handler import AsgiHandler, ViewConsumer
from .message import Message


class StaticFilesHandler(StaticFilesHandlerMixin, AsgiHandler):
    """Answers requests below ``STATIC_URL`` with the files there, and all others with views."""

    def __init__(self, message: Message | None = None) -> None:
        self.base_url = urlparse(self.get_base_url())
        super().__init__(message)

    # The mixin stands in front of another handler; this handler runs the views itself.
    load_middleware = AsgiHandler.load_middleware

    def get_response(self, request: HttpRequest) -> HttpResponseBase:
        if self._should_handle(request.path):
            return super().get_response(request)
        return AsgiHandler.get_response(self, request)


class StaticFilesConsumer(ViewConsumer):
    """A ``ViewConsumer`` that serves static files too; for development only."""

    handler_class = StaticFilesHandler


def default_http_consumer(use_static: bool | None = None) -> ViewConsumer:
    """The consumer of HTTP requests that no route takes.

    ``use_static`` says whether it serves static files; ``None`` means with DEBUG only, and only
    when ``django.contrib.staticfiles`` is installed.
    """
    if use_static is None:
        use_static = settings.DEBUG
    if use_static and apps.is_installed("django.contrib.staticfiles"):
        return StaticFilesConsumer()
    return ViewConsumer()
