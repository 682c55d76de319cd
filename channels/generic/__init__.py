"""Consumers as classes."""

from .base import BaseConsumer

__all__ = ["BaseConsumer"]
