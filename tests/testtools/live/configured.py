"""A script without a settings module that starts a child; prints what that reports.

Arguments: the start method, and ``main`` to configure the settings in the main process only,
or ``everywhere``, as a script without a guard does.
"""

from __future__ import annotations

import multiprocessing
import sys
from typing import Any

from django.conf import settings
from django.db import connections
from django.test import override_settings

from channels.asgi import ChannelLayerWrapper
from channels.test.processes import ChildProcess

if __name__ == "__main__" or "everywhere" in sys.argv:
    settings.configure(
        GREETING="configured",
        SHOUT=str.upper,
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "real"}},
        CHANNEL_LAYERS={
            "default": {
                "BACKEND": "channels.layers.InMemoryChannelLayer",
                "ROUTING": [],
                "TEST_CONFIG": {"capacity": 7},
            }
        },
    )


class Reporting(ChildProcess):
    def serve(self, layer: ChannelLayerWrapper) -> None:
        database = connections["default"].settings_dict["NAME"]
        self.report_ready([getattr(settings, "GREETING"), database, layer.capacity])  # noqa: B009


class Unloadable:
    def __reduce__(self) -> Any:
        return int, ("not a number",)


def report(**overrides: Any) -> None:
    with override_settings(**overrides):
        process = Reporting("default")
        process.start()
        try:
            print(process.wait_until_ready())
        except RuntimeError as error:
            print(str(error).splitlines()[0], str(error).splitlines()[-1])
        finally:
            process.finish()


if __name__ == "__main__":
    multiprocessing.set_start_method(sys.argv[1])
    connections["default"].settings_dict["NAME"] = "test"
    report()
    report(GREETING="overridden")
    report(UNLOADABLE=Unloadable())
