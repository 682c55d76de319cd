"""Models bound to groups of sockets: changes go out as messages, and messages become changes."""

from .base import Binding

__all__ = ["Binding"]
