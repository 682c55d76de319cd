"""The fields of a model that a binding may read, and those that it may write."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db.models import FileField, Manager, Model
from django.utils.encoding import is_protected_type

ALL = "__all__"

Names = Iterable[str] | None


def check_selection(binding: str, fields: Names, exclude: Names) -> None:
    """Raise ``ValueError`` unless the selection of the class named ``binding`` can be used."""
    if fields is None and exclude is None:
        raise ValueError(
            f"The binding {binding} says neither which fields travel nor which do not: set "
            'fields, or exclude; fields = ("__all__",) stands for all.'
        )
    for attribute, names in (("fields", fields), ("exclude", exclude)):
        if isinstance(names, str) and not (names == ALL and attribute == "fields"):
            raise ValueError(
                f"{attribute} of the binding {binding} must be a list of names, not a string: "
                f"write [{names!r}]."
            )


def candidates(model: type[Model]) -> list[Any]:
    """The fields of ``model`` that a binding may select."""
    return [*model._meta.concrete_fields, *model._meta.many_to_many]


def selected_fields(model: type[Model], fields: Names, exclude: Names) -> list[Any]:
    """The fields of ``model`` that are named in ``fields`` and not in ``exclude``.

    ``fields`` may be ``None`` or hold ``"__all__"``: then it means all but those that Django
    does not serialize, such as the primary key.
    """
    hidden = set(exclude or ())
    named = None if fields is None or ALL in (fields, *fields) else set(fields)
    return [
        field
        for field in candidates(model)
        if (field.serialize if named is None else field.name in named)
        and not {field.name, field.attname} & hidden
    ]


def load_deferred(instance: Model, fields: Names, exclude: Names) -> None:
    """Load those selected fields of ``instance`` that were not loaded yet."""
    selected = {field.attname for field in selected_fields(type(instance), fields, exclude)}
    if deferred := instance.get_deferred_fields() & selected:
        instance.refresh_from_db(fields=deferred)


def field_value(instance: Model, field: Any) -> Any:
    """The value of ``field``, as Django's serializers give it; of relations the keys only."""
    if field.many_to_many:
        return [plain_pk(related) for related in getattr(instance, field.name).only("pk")]
    value = field.value_from_object(instance)
    if hasattr(value, "resolve_expression"):
        # The database computed it, and only the database knows the result.
        instance.refresh_from_db(fields=[field.attname])
        value = field.value_from_object(instance)
    return value if is_protected_type(value) else field.value_to_string(instance)


def plain_pk(instance: Model) -> Any:
    """The primary key of ``instance``, as text when JSON would not know it."""
    if isinstance(instance.pk, str | UUID | tuple) or is_protected_type(instance.pk):
        return instance.pk
    return instance._meta.pk.value_to_string(instance)


def is_writable(field: Any, creating: bool) -> bool:
    """Whether a client may set ``field``, if the binding lists it.

    Never: what nobody is to edit, what names a file of the server, and the keys that tell rows
    apart, except that a new row may be given a key which the database does not make itself.
    """
    related = field.remote_field
    if not field.editable or isinstance(field, FileField):
        return False
    if field.many_to_many:
        return bool(related.through._meta.auto_created)
    if _links_parent(field):
        return False
    if is_key(field):
        return creating and not field.db_returning
    return True


def is_key(field: Any) -> bool:
    """Whether ``field`` is the primary key of its model, or one of several that make it up."""
    return field.primary_key or field in field.model._meta.pk_fields


def key_may_exist(model: type[Model], written: Iterable[Any]) -> bool:
    """Whether a new row of ``model`` may be given a key that a row, or a parent's row, has.

    That is a key which neither the database nor a default makes, or one that is ``written``.
    """
    return any(is_key(field) for field in written) or any(
        is_key(field) and not (field.db_returning or field.has_default() or _links_parent(field))
        for field in model._meta.concrete_fields
    )


def _links_parent(field: Any) -> bool:
    return bool(field.remote_field and field.remote_field.parent_link)


def clean_values(instance: Model, fields: Iterable[Any], data: dict[str, Any]) -> dict[Any, Any]:
    """What ``data`` holds for each of ``fields``, as Python values.

    Raises ``ValidationError`` for a value that the type of its field does not take, and for a
    relation to something that is not there, or not among the field's ``limit_choices_to``.
    """
    values = {}
    for field in fields:
        if field.name in data:
            try:
                values[field] = _clean_value(instance, field, data[field.name])
            except ValidationError as error:
                raise ValidationError({field.name: error.messages}) from error
    return values


def _clean_value(instance: Model, field: Any, value: Any) -> Any:
    if field.many_to_many:
        return _clean_many(field, value)
    value = field.to_python(value)
    if field.remote_field and value is not None:
        field.validate(value, instance)
    return value


def _clean_many(field: Any, value: Any) -> list[Any]:
    """The primary keys in ``value``, all of which must exist."""
    if not isinstance(value, list):
        raise ValidationError("The value must be a list of primary keys.")
    related = field.remote_field.model
    wanted = {related._meta.pk.to_python(pk) for pk in value}
    existing: Manager[Any] = related._base_manager
    allowed = existing.filter(pk__in=wanted).complex_filter(field.get_limit_choices_to())
    found = set(allowed.values_list("pk", flat=True))
    if missing := wanted - found:
        raise ValidationError(f"There is nothing to relate to with the key {missing.pop()!r:.80}.")
    return sorted(found, key=str)


def set_values(instance: Model, values: dict[Any, Any]) -> dict[str, Any]:
    """Set the values on ``instance``; return those that have to wait until it is saved."""
    waiting = {}
    for field, value in values.items():
        if field.many_to_many:
            waiting[field.name] = value
        else:
            setattr(instance, field.attname, value)
    return waiting
