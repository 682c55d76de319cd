"""The virtual environment of the site to compare with: its package has the same name as ours."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import subprocess
import sys
from pathlib import Path

from .processes import ROOT

#: Where the environment is kept from one run to the next.
DEFAULT_CACHE = ROOT / ".tox" / "benchmarks"

#: What both sides have in the same version; ``uvicorn[standard]`` brings most of it.
SHARED = (
    "asgiref",
    "Django",
    "hiredis",
    "httptools",
    "msgpack",
    "redis",
    "uvicorn",
    "uvloop",
    "websockets",
)


def peer_python(cache: Path) -> str:
    """The interpreter of the environment, which is made in ``cache`` when it is not there yet."""
    wanted = requirements()
    home = cache / f"peer-py{sys.version_info.major}{sys.version_info.minor}"
    stamp = home / "requirements.txt"
    python = str(home / "bin" / "python")
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"making the environment of the other side in {home}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True)
        install = [python, "-m", "pip", "install", "-qq", *wanted.splitlines()]
        subprocess.run(install, check=True, cwd=home)
        stamp.write_text(wanted)
    return python


def requirements() -> str:
    """Channels 4 as released, on the versions that run here; one per line."""
    lines = ["channels>=4,<5", "channels_redis>=4,<5"]
    for name in SHARED:
        if importlib.util.find_spec(name.lower()):
            lines.append(f"{name}=={importlib.metadata.version(name)}")
    return "\n".join(lines) + "\n"
