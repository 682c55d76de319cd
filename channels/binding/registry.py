"""Which bindings there are, and when they connect to their models."""

from __future__ import annotations

from typing import Any


class BindingRegistry:
    """The binding classes, which wait for the models to be loaded.

    It holds them for good: the signals of the models know them by weak references only.
    """

    def __init__(self) -> None:
        self.binding_classes: list[Any] = []
        #: Whether the models are there, so that new classes need not wait.
        self.register_immediately = False

    def add(self, binding_class: Any) -> None:
        """Take a class that was just defined; raises what its ``register`` raises."""
        if self.register_immediately:
            binding_class.register()
        self.binding_classes.append(binding_class)

    def register_all(self) -> None:
        """Register all classes, and from now on new ones at once."""
        for binding_class in self.binding_classes:
            binding_class.register()
        self.register_immediately = True


registry = BindingRegistry()


class RegistryAccess(type):
    """Lets the names that code knows on ``BindingMetaclass`` reach the registry."""

    @property
    def binding_classes(cls) -> list[Any]:
        return registry.binding_classes

    @property
    def register_immediately(cls) -> bool:
        return registry.register_immediately

    @register_immediately.setter
    def register_immediately(cls, value: bool) -> None:
        registry.register_immediately = value


class BindingMetaclass(type, metaclass=RegistryAccess):
    """A metaclass to build the metaclasses of bindings on; bindings themselves need none.

    ``binding_classes`` and ``register_immediately`` are those of the registry.
    """

    @classmethod
    def register_all(cls) -> None:
        """Register all classes, and from now on new ones at once."""
        registry.register_all()
