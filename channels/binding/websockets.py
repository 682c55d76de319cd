"""Bindings whose messages are the frames of a demultiplexer's stream."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, ClassVar

from django.db import router, transaction
from django.db.models import Model, QuerySet

from ..message import Message
from ..types import Content
from .base import CREATE, UPDATE, Binding
from .fields import (
    clean_values,
    field_value,
    is_writable,
    key_may_exist,
    plain_pk,
    selected_fields,
    set_values,
)


class WebsocketBinding(Binding):
    """A ``Binding`` with JSON payloads: ``action``, ``pk``, ``data`` (by field) and ``model``.

    A demultiplexer takes its ``consumer`` for the stream. What clients ask for is written to the
    listed fields alone, after the conversion that the field's type does; files, primary keys
    and fields that are not editable are never written. Validators, choices and lengths are not
    checked; call what you need of Django's in ``clean_instance``.
    """

    model: Any = None

    def serialize(self, instance: Any, action: str) -> Content:
        """The payload about ``instance``."""
        return {
            "action": action,
            "pk": plain_pk(instance),
            "data": self.serialize_data(instance),
            "model": self.model_label,
        }

    def serialize_data(self, instance: Any) -> dict[str, Any]:
        """The values of exactly the selected fields; of relations the primary keys."""
        selected = selected_fields(type(instance), self.fields, self.exclude)
        return {field.name: field_value(instance, field) for field in selected}

    @classmethod
    def encode(cls, stream: str, payload: Content) -> Content:
        """The message with ``payload`` on ``stream``."""
        return {"text": cls.encode_json({"stream": stream, "payload": payload})}

    @classmethod
    def trigger_inbound(cls, message: Message, **kwargs: Any) -> None:
        """Do what a frame asks for, if its user may; other messages are ignored."""
        if message.channel is not None and message.channel.name == "websocket.receive":
            super().trigger_inbound(message, **kwargs)

    def deserialize(self, message: Message) -> tuple[Any, Any, Any]:
        """Action, primary key and data of the frame.

        Raises ``ValueError`` when it is no JSON object with an ``action``.
        """
        try:
            payload = json.loads(message.get("text") or "")
        except RecursionError as error:
            raise ValueError("A frame of JSON is nested too deeply to be decoded.") from error
        if not isinstance(payload, dict) or "action" not in payload:
            raise ValueError(f"A frame for {type(self).__qualname__} must have an action.")
        return payload["action"], payload.get("pk"), payload.get("data")

    def create(self, data: Any) -> None:
        """Make an instance; never one in the place of another."""
        instance = self.model()
        values = self._values(instance, data, creating=True)
        # Without it a key that exists would mean an update.
        forced = {"force_insert": (Model,)} if key_may_exist(self.model, values) else {}
        self._save(instance, CREATE, values, **forced)

    def update(self, pk: Any, data: Any) -> None:
        """Change the instance with ``pk``; the model's ``DoesNotExist`` when there is none."""
        instance = self._rows().get(pk=pk)
        self._save(instance, UPDATE, self._values(instance, data, creating=False))

    def delete(self, pk: Any) -> None:
        """Delete the instance with ``pk``, if there is one."""
        self._rows().filter(pk=pk).delete()

    def clean_instance(self, instance: Any, action: str, fields: list[str]) -> None:
        """Called before a client's values in ``fields`` (names) are saved; does nothing.

        ``instance`` has the values already, but for many-to-many fields. An exception keeps it
        from being saved: call ``instance.full_clean()``, say.
        """

    def _rows(self) -> QuerySet[Any]:
        manager = getattr(self.model, "objects", self.model._default_manager)
        rows: QuerySet[Any] = manager.all()
        return rows

    def _values(self, instance: Any, data: Any, creating: bool) -> dict[Any, Any]:
        if not isinstance(data, dict):
            raise ValueError(
                f"The data of a frame for {type(self).__qualname__} must be an object, not "
                f"{type(data).__name__}."
            )
        selected = selected_fields(self.model, self.fields, self.exclude)
        writable = [field for field in selected if is_writable(field, creating)]
        return clean_values(instance, writable, data)

    def _save(self, instance: Any, action: str, values: dict[Any, Any], **keywords: Any) -> None:
        waiting = set_values(instance, values)
        self.clean_instance(instance, action, [field.name for field in values])
        if not waiting:
            instance.save(**keywords)
            return
        with transaction.atomic(using=router.db_for_write(self.model, instance=instance)):
            instance.save(**keywords)
            for name, related in waiting.items():
                getattr(instance, name).set(related)


class WebsocketBindingWithMembers(WebsocketBinding):
    """A ``WebsocketBinding`` that sends more than fields: any attributes of the instance.

    ``send_members`` names them, dotted for attributes of attributes; callables are called
    without arguments. In the data a dot becomes ``__``.
    """

    model: Any = None

    #: The names of the attributes.
    send_members: ClassVar[Iterable[str]] = ()

    def serialize_data(self, instance: Any) -> dict[str, Any]:
        """The values of the selected fields, and of the members."""
        members = {path.replace(".", "__"): _member(instance, path) for path in self.send_members}
        return {**super().serialize_data(instance), **json.loads(self.encode_json(members))}


def _member(instance: Any, path: str) -> Any:
    value = instance
    for name in path.split("."):
        value = getattr(value, name)
    return value() if callable(value) else value
