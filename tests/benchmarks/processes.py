"""Starting a site's processes for a measurement, and looking at what they use."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SETTINGS = "tests.benchmarks.site"

#: Seconds for a process to stop by itself before it is killed.
STOP_SECONDS = 15.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def stopping_cleanly() -> Iterator[None]:
    """Let SIGTERM unwind the stack, as Ctrl-C does, so that all processes are stopped."""
    previous = signal.signal(signal.SIGTERM, lambda *args: sys.exit(143))
    try:
        yield
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        signal.signal(signal.SIGTERM, previous)


@contextlib.contextmanager
def running(
    *arguments: str, python: str = sys.executable, cwd: Path = ROOT, **environment: str
) -> Iterator[subprocess.Popen[bytes]]:
    """``python`` with ``arguments``, stopped at the end; what it said is shown after an error."""
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [python, *arguments],
            cwd=cwd,
            env={**os.environ, "DJANGO_SETTINGS_MODULE": SETTINGS, **environment},
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )
        try:
            yield process
        except Exception:
            errors.seek(0)
            said = errors.read()[-1000:].decode(errors="replace")
            print(" ".join(arguments), said, sep="\n", file=sys.stderr)
            raise
        finally:
            _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        pass
    finally:  # also when a second Ctrl-C ends the waiting
        process.kill()
        process.wait()


def wait_for_port(port: int, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise TimeoutError(f"Nothing listens on port {port} after {seconds} s.")


def cpu_seconds(process: subprocess.Popen[bytes]) -> float:
    """CPU time that ``process`` has used so far (Linux)."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def idle_share(process: subprocess.Popen[bytes], seconds: float) -> float:
    """The share of one core that ``process`` uses while nothing happens."""
    before = cpu_seconds(process)
    time.sleep(seconds)
    return (cpu_seconds(process) - before) / seconds
