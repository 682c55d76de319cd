"""The base of consumers that are classes."""

from __future__ import annotations

import types
from typing import Any, ClassVar

from ..message import Message
from ..routing import RouteClass
from .decorators import Handler, decorate


class BaseConsumer:
    """A consumer whose methods take the messages of different channels.

    Calling the class with a message, and the routing's captures as keywords, runs the method for
    the message's channel; the instance is what the call returns.
    """

    #: The name of the method for each channel.
    method_mapping: ClassVar[dict[str, str]] = {}

    #: Whether methods find a channel session on the message.
    channel_session = False

    #: Whether methods find a channel session, and the user in it, on the message.
    channel_session_user = False

    def __init__(self, message: Message, **kwargs: Any) -> None:
        self.message = message
        self.kwargs = kwargs
        self.dispatch(message, **kwargs)

    @classmethod
    def channel_names(cls) -> set[str]:
        """The channels that the consumer takes messages from."""
        return set(cls.method_mapping)

    @classmethod
    def as_route(cls, attrs: dict[str, Any] | None = None, **filters: Any) -> RouteClass:
        """A route to this class, for messages that match ``filters``.

        With ``attrs``, class attributes by name, it leads to a subclass that has them. Raises
        ``TypeError`` when ``attrs`` is no dict, and what ``route_class`` raises.
        """
        if attrs is not None and not isinstance(attrs, dict):
            raise TypeError(
                f"{cls.__name__}.as_route() takes attrs as a dict of class attributes, not "
                f"{attrs!r}; give filters as keywords."
            )
        return RouteClass(cls._with(attrs) if attrs else cls, **filters)

    @classmethod
    def _with(cls, attrs: dict[str, Any]) -> type[BaseConsumer]:
        body = {"__module__": cls.__module__, "__qualname__": cls.__qualname__, **attrs}
        return types.new_class(cls.__name__, (cls,), exec_body=lambda ns: ns.update(body))

    def get_handler(self, message: Message, **kwargs: Any) -> Handler:
        """The method for ``message``, in the decorators that the class's attributes ask for.

        Raises ``ValueError`` when ``method_mapping`` has no method for the message's channel.
        """
        name = message.channel.name if message.channel else None
        if name not in self.method_mapping:
            raise ValueError(
                f"{type(self).__name__} has no method for messages on {name}: name one in "
                f"method_mapping, which has {', '.join(self.method_mapping) or 'none'}."
            )
        return decorate(getattr(self, self.method_mapping[name]), self)

    def dispatch(self, message: Message, **kwargs: Any) -> Any:
        """Run the method for ``message`` and return its result."""
        return self.get_handler(message, **kwargs)(message, **kwargs)
