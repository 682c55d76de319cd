"""Decorators for ``websocket.connect`` consumers that look at where the page came from."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable
from typing import Any

from django.http.request import split_domain_port, validate_host

from .. import conf
from ..decorators import find_message
from ..exceptions import DenyConnection
from ..headers import header_values
from ..message import Message

__all__ = ["AllowedHostsOnlyOriginValidator", "BaseOriginValidator", "allowed_hosts_only"]


class BaseOriginValidator:
    """Decorator for functions and methods: only connections from valid origins get through.

    The others are refused by ``DenyConnection``, and so are those whose Origin header is
    missing, empty, not ASCII or there more than once. Subclasses say what is valid, in
    ``validate_origin``.
    """

    def __init__(self, func: Callable[..., Any]) -> None:
        functools.update_wrapper(self, func)
        self.func = func

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        message = find_message(args, type(self).__name__)
        if not self.validate_origin(message, self.get_origin(message)):
            raise DenyConnection
        return self.func(*args, **kwargs)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else types.MethodType(self, instance)

    def validate_origin(self, message: Message, origin: str) -> bool:
        """Whether ``origin``, as the browser sent it, may connect."""
        raise NotImplementedError("Subclasses of BaseOriginValidator must say what is valid.")

    def get_origin(self, message: Message) -> str:
        """The Origin header. Raises ``DenyConnection`` when there is no single readable one."""
        try:
            (origin,) = self.get_header(message, b"origin")
        except (KeyError, ValueError):
            raise DenyConnection from None
        if not origin or not origin.isascii():
            raise DenyConnection
        return origin.decode("ascii")

    def get_header(self, message: Message, name: bytes) -> list[bytes]:
        """The values of the header ``name``, in any case; ``KeyError`` when it is not there."""
        values = header_values(message, name.lower())
        if not values:
            raise KeyError(f"The message has no header {name!r}.")
        return values


class AllowedHostsOnlyOriginValidator(BaseOriginValidator):
    """Only origins whose host is in ``ALLOWED_HOSTS`` may connect, from any port."""

    def validate_origin(self, message: Message, origin: str) -> bool:
        """Whether ``origin`` is ``scheme://host`` or ``scheme://host:port`` of a host of ours."""
        scheme, _, address = origin.partition("://")
        host, _ = split_domain_port(address)
        return bool(scheme and host) and validate_host(host, conf.allowed_hosts())


allowed_hosts_only = AllowedHostsOnlyOriginValidator
