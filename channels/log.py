"""Logging of the commands."""

from __future__ import annotations

import logging

from django.conf import settings

#: What ``--verbosity`` shows of the library's own log.
LEVELS = {0: logging.WARNING, 1: logging.INFO, 2: logging.INFO, 3: logging.DEBUG}


def setup_logger(name: str, verbosity: int = 1) -> logging.Logger:
    """Let the logger ``name`` and its children write to stderr, as much as ``verbosity`` says.

    ``verbosity`` is that of Django's commands, 0 to 3. A level or a handler that the project's
    ``LOGGING`` gives this logger is respected. With ``DEBUG`` its records go no further, as
    Django's own console would show them again. Returns the logger.
    """
    logger = logging.getLogger(name)
    if logger.level == logging.NOTSET:
        logger.setLevel(LEVELS.get(verbosity, logging.DEBUG))
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(
            logging.Formatter("%(asctime)s - %(levelname)s - %(module)s - %(message)s")
        )
        logger.addHandler(handler)
        logger.propagate = not settings.DEBUG
    return logger
