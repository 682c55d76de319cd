"""What the documentation tells people to write."""

from __future__ import annotations

import ast
import re
import textwrap
from pathlib import Path

import pytest
from django.utils.module_loading import import_string

from channels import route
from channels.test import ChannelTestCase, apply_routes

from .processes import ROOT

PAGES = [ROOT / "README.rst", *sorted((ROOT / "docs").glob("*.rst"))]

#: Names in prose that no import finds: of other things, or of what is not there any more.
OTHER = {"channels.test", "channels.tests", "channels.delay"}


def code_of(page: Path) -> list[str]:
    blocks = re.findall(
        r"^\.\. code-block:: python\n\n((?:(?: {4}.*)?\n)+)", page.read_text(), flags=re.MULTILINE
    )
    return [textwrap.dedent(block) for block in blocks]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_names_that_are_mentioned_can_be_imported(page: Path) -> None:
    for name in re.findall(r"``(channels(?:\.\w+)+)(?:\(.*?\))?``", page.read_text()):
        if name not in OTHER and not re.fullmatch(r"channels\.\w+", name):
            import_string(name)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_code_is_python_and_its_imports_from_the_library_work(page: Path) -> None:
    for block in code_of(page):
        code = block.strip()
        if code.startswith('"'):  # a part of a dict
            code = "{" + code + "}"
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("channels"):
                for alias in node.names:
                    import_string(f"{node.module}.{alias.name}")


class FirstSocketTests(ChannelTestCase):
    def test_the_first_consumer_and_the_example_test_work(self) -> None:
        echo = next(code for code in code_of(ROOT / "docs" / "start.rst") if "def echo" in code)
        namespace: dict[str, object] = {}
        exec(echo, namespace)

        def accept(message: object) -> None:
            message.reply_channel.send({"accept": True})  # type: ignore[attr-defined]

        routes = [
            route("websocket.connect", accept),
            route("websocket.receive", namespace["echo"], path=r"^/echo/$"),
        ]
        test = next(
            block for block in code_of(ROOT / "docs" / "testing.rst") if "EchoTests" in block
        )
        exec(test, namespace)
        with apply_routes(routes):
            namespace["EchoTests"].test_echo(self)  # type: ignore[attr-defined]
