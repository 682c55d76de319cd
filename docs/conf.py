"""How Sphinx builds these pages."""

from pathlib import Path

about: dict[str, str] = {}
exec((Path(__file__).parents[1] / "channels" / "version.py").read_text(), about)

project = "channels"
release = version = about["__version__"]
exclude_patterns = ["_build"]
html_theme = "alabaster"
html_theme_options = {"description": "WebSockets for synchronous Django", "page_width": "60rem"}
nitpicky = True
