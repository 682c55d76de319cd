"""The base of bindings: what is the same whatever the messages look like."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, ClassVar

from django.apps import apps
from django.core.exceptions import ValidationError
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Model
from django.db.models.signals import post_delete, post_save, pre_delete, pre_save

from ..channel import Group
from ..generic.decorators import Handler, decorate
from ..message import Message
from ..types import Content
from .fields import check_selection, load_deferred
from .registry import BindingMetaclass, registry

__all__ = ["CREATE", "DELETE", "UPDATE", "Binding", "BindingMetaclass"]

CREATE = "create"
UPDATE = "update"
DELETE = "delete"


class Binding:
    """Ties a model to groups of channels, in both directions.

    Outbound, a save or delete of an instance is told to the groups that ``group_names`` gives
    before and after it: ``create`` to those that it enters, ``delete`` to those that it leaves,
    ``update`` to the others. The messages go out when Django sends its signal, also within a
    transaction; in a consumer they are held until it ends. Fixtures count as saves.

    Inbound, ``consumer`` takes messages that ask for a change, which ``has_permission`` allows.

    Subclasses set ``model`` (to ``None`` when they are abstract) and ``fields`` or ``exclude``.
    """

    #: The model, or its name as ``"app.Model"``. The signals are those of exactly this class;
    #: for proxies or child models, name them in ``get_registered_models``.
    model: Any = None

    #: The stream that messages name.
    stream: str | None = None

    #: The names of the fields that travel, ``("__all__",)`` for all.
    fields: Iterable[str] | None = None

    #: The names of fields that do not travel; alone, all others do.
    exclude: Iterable[str] | None = None

    #: Whether ``message.channel_session`` and ``message.user`` are there inbound.
    channel_session_user = True

    #: Whether ``message.channel_session`` is there inbound.
    channel_session = False

    #: Whether messages of one socket run strictly one after the other, in their order.
    strict_ordering = False

    #: Encodes what JSON does not know: an encoder, or its class.
    encoder: ClassVar[Any] = DjangoJSONEncoder()

    #: ``app.model`` in lower case; set when the binding is registered.
    model_label: str

    #: The other keywords of the signal that is being told.
    signal_kwargs: dict[str, Any]

    #: Inbound: the message, the keywords, who asks, and for what.
    message: Message
    kwargs: dict[str, Any]
    user: Any
    action: Any
    pk: Any
    data: Any

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        registry.add(cls)

    @classmethod
    def register(cls) -> None:
        """Connect to the signals of the model; done when all models are loaded.

        Raises ``ValueError`` for a class without ``model`` or without ``fields`` and ``exclude``,
        and ``LookupError`` for the name of a model that does not exist.
        """
        if cls.model is None:
            if "model" in vars(cls):
                return
            raise ValueError(
                f"The binding {cls.__qualname__} has no model: set one, or model = None in its "
                "own body when it is abstract."
            )
        check_selection(cls.__qualname__, cls.fields, cls.exclude)
        if isinstance(cls.model, str):
            cls.model = cls._named_model(cls.model)
        cls.model_label = cls.model._meta.label_lower
        for model in cls.get_registered_models():
            pre_save.connect(cls.pre_save_receiver, sender=model)
            post_save.connect(cls.post_save_receiver, sender=model)
            pre_delete.connect(cls.pre_delete_receiver, sender=model)
            post_delete.connect(cls.post_delete_receiver, sender=model)

    @classmethod
    def _named_model(cls, name: str) -> type[Model]:
        try:
            return apps.get_model(name)
        except (LookupError, ValueError) as error:
            raise LookupError(
                f"The binding {cls.__qualname__} has no model {name!r}: give the class, or its "
                f"name as 'app.Model' ({error})"
            ) from error

    @classmethod
    def get_registered_models(cls) -> Iterable[type[Model]]:
        """The models whose signals are told."""
        return [cls.model]

    # Outbound

    @classmethod
    def pre_save_receiver(cls, instance: Model, **kwargs: Any) -> None:
        """Called before a save."""
        cls.pre_change_receiver(instance, CREATE if instance._state.adding else UPDATE)

    @classmethod
    def post_save_receiver(cls, instance: Model, created: bool, **kwargs: Any) -> None:
        """Called after a save."""
        cls.post_change_receiver(instance, CREATE if created else UPDATE, **kwargs)

    @classmethod
    def pre_delete_receiver(cls, instance: Model, **kwargs: Any) -> None:
        """Called before a delete."""
        # What was not loaded cannot be loaded any more when the row is gone.
        load_deferred(instance, cls.fields, cls.exclude)
        cls.pre_change_receiver(instance, DELETE)

    @classmethod
    def post_delete_receiver(cls, instance: Model, **kwargs: Any) -> None:
        """Called after a delete."""
        cls.post_change_receiver(instance, DELETE, **kwargs)

    @classmethod
    def pre_change_receiver(cls, instance: Any, action: str) -> None:
        """Keep the groups before the change in ``instance._binding_group_names[cls]``."""
        groups = set() if action == CREATE else cls._groups_of(instance)
        if not hasattr(instance, "_binding_group_names"):
            instance._binding_group_names = {}
        instance._binding_group_names[cls] = groups

    @classmethod
    def post_change_receiver(cls, instance: Any, action: str, **kwargs: Any) -> None:
        """Tell the groups; ``kwargs`` are the other keywords of Django's signal."""
        old = getattr(instance, "_binding_group_names", {}).get(cls, set())
        new = set() if action == DELETE else cls._groups_of(instance)
        binding = cls()
        binding.send_messages(instance, old - new, DELETE, **kwargs)
        binding.send_messages(instance, old & new, UPDATE, **kwargs)
        binding.send_messages(instance, new - old, CREATE, **kwargs)

    @classmethod
    def _groups_of(cls, instance: Model) -> set[str]:
        names = cls.group_names(instance)
        if isinstance(names, str):
            raise TypeError(
                f"{cls.__qualname__}.group_names() must return a list of names, not a string: "
                f"return [{names!r}]."
            )
        return set(names)

    def send_messages(
        self, instance: Any, group_names: set[str], action: str, **kwargs: Any
    ) -> None:
        """Tell ``group_names`` that ``action`` happened to ``instance``."""
        if not group_names:
            return
        self.signal_kwargs = kwargs
        payload = self.serialize(instance, action)
        if payload == {}:
            return
        if self.stream is None:
            raise ValueError(
                f"The binding {type(self).__qualname__} has no stream to send on: set one."
            )
        message = self.encode(self.stream, payload)
        for name in group_names:
            Group(name).send(message)

    @classmethod
    def group_names(cls, instance: Any) -> Iterable[str]:
        """To be written: the names of the groups that ``instance`` is told to.

        Called before a change, when the new values are set already but not saved, and after it.
        """
        raise NotImplementedError(f"{cls.__qualname__} must have a group_names(instance).")

    def serialize(self, instance: Any, action: str) -> Content:
        """To be written: the payload about ``instance``; an empty dict is not sent."""
        raise NotImplementedError(f"{type(self).__qualname__} must have a serialize().")

    @classmethod
    def encode(cls, stream: str, payload: Content) -> Content:
        """To be written: the message with ``payload`` on ``stream``."""
        raise NotImplementedError(f"{cls.__qualname__} must have an encode().")

    # Inbound

    @classmethod
    def consumer(cls, message: Message, **kwargs: Any) -> None:
        """The consumer to put into a routing or a demultiplexer."""
        cls.get_handler()(message, **kwargs)

    @classmethod
    def get_handler(cls) -> Handler:
        """``trigger_inbound`` in the decorators that the class's attributes ask for."""
        return decorate(cls.trigger_inbound, cls)

    @classmethod
    def trigger_inbound(cls, message: Message, **kwargs: Any) -> None:
        """Do what ``message`` asks for, if its user may."""
        # Django's models can be imported only when the apps are loaded.
        from django.contrib.auth.models import AnonymousUser

        self = cls()
        self.message = message
        self.kwargs = kwargs
        self.user = getattr(message, "user", None) or AnonymousUser()
        self.action, self.pk, self.data = self.deserialize(message)
        self.run_action(self.action, self.pk, self.data)

    def deserialize(self, message: Message) -> tuple[Any, Any, Any]:
        """To be written: action, primary key and data that ``message`` asks for."""
        raise NotImplementedError(f"{type(self).__qualname__} must have a deserialize().")

    def run_action(self, action: Any, pk: Any, data: Any) -> None:
        """Do what was asked for if it is permitted, and nothing otherwise.

        Raises ``ValueError`` for an unknown action and for a ``pk`` that the model cannot have.
        """
        if action not in (CREATE, UPDATE, DELETE):
            raise ValueError(
                f"{type(self).__qualname__} knows create, update and delete, not {action!r:.80}."
            )
        pk = None if action == CREATE else self._clean_pk(pk)
        if not self.has_permission(self.user, action, pk):
            return
        if action == CREATE:
            self.create(data)
        elif action == UPDATE:
            self.update(pk, data)
        else:
            self.delete(pk)

    def has_permission(self, user: Any, action: str, pk: Any) -> bool:
        """To be written: whether ``user`` may do ``action``.

        ``pk`` is the primary key in the form in which messages carry it (a UUID is text), and
        ``None`` for ``create``.
        """
        raise NotImplementedError(
            f"{type(self).__qualname__} must have a has_permission(user, action, pk)."
        )

    def create(self, data: Any) -> None:
        """To be written: make an instance."""
        raise NotImplementedError(f"{type(self).__qualname__} must have a create().")

    def update(self, pk: Any, data: Any) -> None:
        """To be written: change the instance with ``pk``."""
        raise NotImplementedError(f"{type(self).__qualname__} must have an update().")

    def delete(self, pk: Any) -> None:
        """To be written: delete the instance with ``pk``."""
        raise NotImplementedError(f"{type(self).__qualname__} must have a delete().")

    @classmethod
    def encode_json(cls, content: Any) -> str:
        """``content`` as JSON, by the class's ``encoder``."""
        encoder = cls.encoder() if isinstance(cls.encoder, type) else cls.encoder
        return str(encoder.encode(content))

    def _clean_pk(self, pk: Any) -> Any:
        # One form for all spellings of a key, as 7, "7" and " 7" are one row: what the
        # permission was asked for must be what is changed.
        fields = self.model._meta.pk_fields
        values = pk if isinstance(pk, list) and len(fields) > 1 else [pk]
        try:
            cleaned = [f.to_python(v) for f, v in zip(fields, values, strict=True)]
        except (ValidationError, TypeError, ValueError, OverflowError):
            cleaned = [None]
        if None in cleaned:
            raise ValueError(f"{pk!r:.80} is no primary key of {self.model_label}.")
        cleaned = json.loads(self.encode_json(cleaned))
        return cleaned if len(fields) > 1 else cleaned[0]
