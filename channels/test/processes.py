"""Child processes of a test, with its Django around them, by whichever start method."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import threading
import traceback
import warnings
from collections.abc import Iterator
from importlib import import_module
from multiprocessing.connection import Connection
from typing import Any

import django
from django.conf import Settings, UserSettingsHolder, global_settings, settings
from django.db import connections

from ..asgi import ChannelLayerWrapper, channel_layers
from ..log import setup_logger

#: Seconds that a child may take until it is ready: it imports the whole project, on a machine
#: that may be busy with other tests.
START_TIMEOUT = 60.0

#: Seconds that a child may take to end, on such a machine; afterwards it is killed.
STOP_TIMEOUT = 30.0

READY, FAILED = "ready", "failed"


class ChildProcess(multiprocessing.Process):
    """A process that serves the channel layer of a test until SIGTERM.

    ``alias`` names the layer, which is made in the child from its ``TEST_CONFIG``. Subclasses
    say in ``serve`` what to do. Started by ``spawn`` or ``forkserver`` the child sets Django up
    with the settings and the databases of the parent; under ``fork`` it has them anyway.
    """

    #: What messages call the process.
    title = "child process"

    _reports: Connection
    _reporter: Connection

    def __init__(self, alias: str) -> None:
        super().__init__(daemon=True)
        self.alias = alias

    def serve(self, layer: ChannelLayerWrapper) -> None:
        """In the child: call ``report_ready`` when it is, and return soon after SIGTERM."""
        raise NotImplementedError

    def run(self) -> None:
        """In the child: serve, and tell the parent of an error."""
        try:
            # Ctrl-C is for the parent, which stops its children then.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            threading.Thread(target=_end_with_parent, daemon=True).start()
            # Errors of consumers should show, however the project logs.
            setup_logger("django.channels", verbosity=0)
            wrapper = channel_layers[self.alias]
            wrapper.channel_layer = channel_layers.make_test_backend(self.alias).channel_layer
            self.serve(wrapper)
        except BaseException:
            self._reporter.send((FAILED, traceback.format_exc()))
            raise

    def report_ready(self, detail: Any = None) -> None:
        """In the child: let ``wait_until_ready`` return ``detail``."""
        self._reporter.send((READY, detail))

    def start(self) -> None:
        # Not earlier: a process forked in between would hold the child's end as well, and hide
        # that the child has gone.
        self._reports, self._reporter = multiprocessing.Pipe(duplex=False)
        super().start()
        self._reporter.close()

    def wait_until_ready(self) -> Any:
        """What the child reports; ``RuntimeError`` when it fails, ends, or takes too long."""
        if not self._reports.poll(START_TIMEOUT):
            raise RuntimeError(f"The {self.title} was not ready in {START_TIMEOUT:.0f} seconds.")
        kind, detail = self._read_report()
        if kind == READY:
            return detail
        raise RuntimeError(f"The {self.title} did not start: {detail}")

    def finish(self) -> str | None:
        """Wait for the end, after ``terminate``, if need be by killing.

        Returns what is to be said about a child that had ended by itself, or not at all.
        """
        self.join(STOP_TIMEOUT)
        complaint = None
        if self.is_alive():
            self.kill()
            self.join()
            complaint = f"The {self.title} had to be killed."
        elif self.exitcode not in (0, -signal.SIGTERM):
            complaint = f"The {self.title} ended during the test: {self._read_report()[1]}"
        self._reports.close()
        self.close()
        return complaint

    def _read_report(self) -> Any:
        try:
            return self._reports.recv()
        except EOFError:
            self.join(STOP_TIMEOUT)
            return FAILED, f"it ended with exit code {self.exitcode}."

    def __reduce__(self) -> Any:
        # A class of the project may need its models, and they need Django: what the child
        # unpickles first sets that up, and only then the process itself.
        kind = type(self)
        state = pickle_for_child(vars(self) | {"_reports": None, "_reporter": None})
        return restore, (self._reporter, Surroundings(), kind.__module__, kind.__qualname__, state)


class Surroundings:
    """The settings and databases of this process, to be set up again in a spawned one.

    A setting that cannot be pickled stays what the settings module says.
    """

    def __init__(self) -> None:
        self.settings_module = _settings_module()
        self.settings = dict(_pickled_settings())
        self.databases = {alias: connections[alias].settings_dict for alias in connections}

    def set_up(self) -> None:
        """Make them those of this process."""
        if not settings.configured:
            settings.configure(_default_settings(self.settings_module))
        waiting = self._apply(self.settings, must=False)
        django.setup()
        # Routes, for instance, name consumers, and those may need models.
        self._apply(waiting, must=True)
        for alias, settings_dict in self.databases.items():
            connections[alias].settings_dict.update(settings_dict)

    def _apply(self, pickled: dict[str, bytes], must: bool) -> dict[str, bytes]:
        """Set what can be unpickled; returns the rest, unless it ``must`` be possible."""
        rest = {}
        for name, data in pickled.items():
            try:
                value = pickle.loads(data)
            except Exception:
                if must:
                    raise
                rest[name] = data
            else:
                with _no_warnings():
                    setattr(settings, name, value)
        return rest


def restore(
    reporter: Connection, surroundings: Surroundings, module: str, qualname: str, state: bytes
) -> ChildProcess:
    """In a spawned child: set Django up, then make the process object of the parent again."""
    try:
        surroundings.set_up()
        kind: Any = import_module(module)
        for name in qualname.split("."):
            kind = getattr(kind, name)
        process: ChildProcess = kind.__new__(kind)
        vars(process).update(pickle.loads(state), _reporter=reporter)
    except BaseException:
        reporter.send((FAILED, traceback.format_exc()))
        raise
    return process


def pickle_for_child(value: Any) -> bytes:
    """``value`` pickled as processes are, which is more than may be pickled elsewhere."""
    return bytes(multiprocessing.reduction.ForkingPickler.dumps(value))


def _settings_module() -> str | None:
    """The settings module below all overrides; ``None`` after ``settings.configure()``."""
    holder: Any = vars(settings).get("_wrapped")
    while isinstance(holder, UserSettingsHolder):
        holder = holder.default_settings
    return getattr(holder, "SETTINGS_MODULE", None)


def _default_settings(module: str | None) -> Any:
    if module is None:
        return global_settings
    with _no_warnings():
        return Settings(module)


def _pickled_settings() -> Iterator[tuple[str, bytes]]:
    """All settings that are not, or may not be in the child, Django's defaults."""
    # Not through the settings object itself, which adds prefixes and warns of old settings.
    holder: Any = vars(settings).get("_wrapped")
    for name in dir(holder):
        if name.isupper() and name != "SETTINGS_MODULE":
            value = getattr(holder, name)
            default = getattr(global_settings, name, holder)
            if holder.is_overridden(name) or value != default:
                with contextlib.suppress(Exception):
                    yield name, pickle.dumps(value)


@contextlib.contextmanager
def _no_warnings() -> Iterator[None]:
    """The parent has been warned of old settings already."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        yield


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
