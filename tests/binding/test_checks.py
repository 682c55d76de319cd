from __future__ import annotations

import pytest
from django.core.checks import run_checks

from channels.binding.checks import check_bindings

from .bindings import ToAll, bind
from .models import Post


@pytest.mark.django_db
def test_names_that_the_model_does_not_have_are_warned_about() -> None:
    bind(Post, fields=["title", "titel", "room_id"])
    bind(Post, exclude=["secret", "secrte", "room_id"])

    found = {(warning.id, warning.msg) for warning in check_bindings()}

    assert found == {
        (
            "channels.W001",
            f"The binding tests.binding.bindings.MadeBinding lists '{name}' in {attribute}, but "
            "bound.post has no such field.",
        )
        for name, attribute in [("titel", "fields"), ("room_id", "fields"), ("secrte", "exclude")]
    }
    assert found <= {(warning.id, warning.msg) for warning in run_checks()}


def test_proper_bindings_are_not_warned_about() -> None:
    bind(Post, fields=["__all__"], exclude=["secret"])
    bind(Post, fields="__all__")
    bind(Post, fields=[])
    bind(Post, fields=("id", "tags", "room"))
    bind(None, base=ToAll)

    assert check_bindings() == []
