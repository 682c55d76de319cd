"""What the settings of the two projects have in common; the environment says where things are."""

import os

DIRECTORY = os.environ["PORT_DIRECTORY"]
REDIS_ADDRESS = ("127.0.0.1", int(os.environ["PORT_REDIS"]))
PREFIX = os.environ["PORT_PREFIX"]

SECRET_KEY = "only for tests"
DEBUG = False
USE_TZ = True
ALLOWED_HOSTS = ["localhost", "testserver"]
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
]
if os.environ.get("PORT_APPS", "yes") == "yes":
    INSTALLED_APPS += ["channels", "channels.delay"]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.path.join(DIRECTORY, "real.sqlite3"),
        "TEST": {
            "NAME": os.environ.get("PORT_DATABASE") or os.path.join(DIRECTORY, "test.sqlite3")
        },
        # Several processes write: let them wait for each other.
        "OPTIONS": {"timeout": 30, "transaction_mode": "IMMEDIATE"},
    }
}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STATIC_URL = "/static/"
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
