"""A system check: names that a binding lists and its model does not have."""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage, Warning

from .fields import ALL, candidates
from .registry import registry


def check_bindings(**kwargs: Any) -> list[CheckMessage]:
    """Every name in ``fields`` and ``exclude`` must be that of a field.

    One that is misspelt in ``exclude`` would let the field that was meant travel.
    """
    return [
        Warning(
            f"The binding {binding.__module__}.{binding.__qualname__} lists {name!r} in "
            f"{attribute}, but {binding.model_label} has no such field.",
            hint="Correct the name, or remove it.",
            obj=binding,
            id="channels.W001",
        )
        for binding in registry.binding_classes
        if hasattr(binding, "model_label")
        for attribute, known in _known_names(binding.model).items()
        for name in getattr(binding, attribute) or ()
        if name not in known and getattr(binding, attribute) != ALL
    ]


def _known_names(model: Any) -> dict[str, set[str]]:
    names = {field.name for field in candidates(model)}
    return {
        "fields": names | {ALL},
        "exclude": names | {field.attname for field in candidates(model)},
    }
