"""Settings of the liveblog: everything that a deployment changes comes from the environment."""

import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent

SECRET_KEY = os.environ.get("LIVEBLOG_SECRET_KEY", "for development only, public to everybody")
DEBUG = os.environ.get("LIVEBLOG_DEBUG", "1") == "1"
ALLOWED_HOSTS = os.environ.get("LIVEBLOG_ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]").split(",")

INSTALLED_APPS = [
    "channels",  # before staticfiles, so that runserver is the one that serves sockets
    "channels.delay",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "blog",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
ROOT_URLCONF = "project.urls"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
STATIC_URL = "/static/"
TIME_ZONE = "UTC"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("LIVEBLOG_DATABASE", BASE_DIR / "db.sqlite3"),
        "CONN_MAX_AGE": 600,  # seconds: opening the database anew for every message costs time
        "OPTIONS": {
            # Several workers write at once: they wait for each other instead of failing.
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL",
        },
    },
}

if redis_url := os.environ.get("CHANNELS_REDIS_URL"):
    backend = "channels.layers.redis.RedisChannelLayer"
    config = {"hosts": [redis_url]}
else:
    backend = "channels.layers.InMemoryChannelLayer"
    config = {}

CHANNEL_LAYERS = {
    "default": {"BACKEND": backend, "CONFIG": config, "ROUTING": "project.routing.routing"},
}
