"""Settings of a project without ``django.contrib.staticfiles``."""

from tests.settings import *  # noqa: F403

INSTALLED_APPS = ["channels"]
