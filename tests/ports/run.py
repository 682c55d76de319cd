"""The ``manage.py`` of the projects: ``run.py PROJECT COMMAND...``.

``manage.py`` of 1.x projects did not ask for warnings to be errors. Here they are, all but those
that tell of the old names which the projects use on purpose.
"""

import multiprocessing
import os
import sys
import warnings

OLD_NAMES = [
    r"CHANNEL_LAYERS\['default'\]: the BACKEND 'asgi_redis\.RedisChannelLayer' is now ",
    r"channels\.tests is now channels\.test",
]

if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = f"tests.ports.{sys.argv[1]}.settings"
    multiprocessing.set_start_method("spawn" if sys.platform == "darwin" else "fork")
    warnings.simplefilter("error")
    for message in OLD_NAMES:
        warnings.filterwarnings("ignore", message, DeprecationWarning)
    from django.core.management import execute_from_command_line

    execute_from_command_line(["manage.py", *sys.argv[2:]])
