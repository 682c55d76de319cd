"""The settings of the project; the environment says where Redis and the database are."""

import os
from pathlib import Path

SECRET_KEY = "only for tests"
DEBUG = False
USE_TZ = True
INSTALLED_APPS = [
    "channels",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": Path(os.environ["LIVE_DIRECTORY"], "real.sqlite3"),
        "TEST": {"NAME": str(Path(os.environ["LIVE_DIRECTORY"], "test.sqlite3"))},
    }
}
ROOT_URLCONF = "tests.testtools.live.urls"
STATIC_URL = "/static/"
STATICFILES_DIRS = [Path(__file__).parent / "static"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels.layers.redis.RedisChannelLayer",
        # Nobody listens there: who uses the real layer fails.
        "CONFIG": {"hosts": ["redis://127.0.0.1:1/0"]},
        "TEST_CONFIG": {"hosts": [os.environ["LIVE_REDIS"]], "prefix": os.environ["LIVE_PREFIX"]},
        "ROUTING": "tests.testtools.live.routing.routing",
    },
}
GREETING = "of the module"

#: Cannot be pickled, so that a spawned child has to take it from here.
SHOUT = lambda text: text.upper() + "!"  # noqa: E731
