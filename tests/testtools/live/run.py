"""Runs some of the project's tests: ``run.py START_METHOD LABEL...``."""

import multiprocessing
import os
import sys

if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.testtools.live.settings"
    multiprocessing.set_start_method(sys.argv[1])
    from django.core.management import execute_from_command_line

    execute_from_command_line(["manage.py", "test", "--noinput", *sys.argv[2:]])
