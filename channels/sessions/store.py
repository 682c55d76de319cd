"""The session that belongs to a channel: an engine of Django's under a key that never changes."""

from __future__ import annotations

import functools
import hashlib
import os
import tempfile
from typing import Any

from django.contrib.sessions.backends import cached_db, db, file, signed_cookies
from django.contrib.sessions.backends.base import CreateError, SessionBase, UpdateError

from .. import conf
from ..utils import import_configured

#: How often to try to write a row that others may remove and make at the same time.
SAVE_TRIES = 3


class ChannelSession(SessionBase):
    """What is different from the engine, which comes next in the order of bases.

    Engines give a session another key when a user logs in or out, for the sake of cookies. Here
    nobody is told the key, so it stays, and whether there is a row is a question of its own.
    """

    # The key can be computed from the name of a channel, which is no secret. So it must open
    # nothing when a browser brings it as its own session key: the engine of HTTP sessions
    # cannot read what has another salt, and looks elsewhere in a cache.
    key_salt = "channels.sessions"
    cache_key_prefix = "channels.sessions"

    #: Whether a row was there when it was last looked at.
    stored = False

    def __init__(self, session_key: str) -> None:
        super().__init__(session_key)
        self._channel_key = session_key

    def load(self) -> dict[str, Any]:
        """The data in the row, an empty dict when there is none; this object keeps its own."""
        self.stored = False
        data = super().load()
        # Engines drop the key of a session that they do not find, and the file engine has
        # replaced one that has expired by a new one.
        self.stored = self.stored or self.session_key is not None
        self._session_key = self._channel_key
        return data

    def open(self) -> None:
        """Load the row; when there is none, make it.

        Raises ``CreateError`` when another opener is just making it.
        """
        self._session_cache: dict[str, Any] = self.load()
        if self.stored:
            return
        try:
            self.create()
        except CreateError:
            self.load()
            if self.stored:
                raise
            # A row that nobody loads but that is in the way has expired and was not cleared.
            self.delete()
            self.create()

    def create(self) -> None:
        """Make the row. Raises ``CreateError`` when there is one."""
        self.save(must_create=True)

    def save(self, must_create: bool = False) -> None:
        """Write the row; one that is known to be missing is made.

        Raises ``CreateError`` when the row was to be made and is there, and ``UpdateError`` when
        it has gone since it was loaded.
        """
        if not must_create:
            self.keys()  # loads, so that it is known whether there is a row
        super().save(must_create=must_create or not self.stored)
        self.stored = True
        self.modified = False

    def save_anyway(self) -> None:
        """Write the row, also when somebody else has removed or made it meanwhile."""
        for _ in range(SAVE_TRIES - 1):
            try:
                return self.save()
            except (CreateError, UpdateError):
                self.load()
        return self.save()

    def delete(self, session_key: str | None = None) -> None:
        """Remove the row, or that of another key."""
        super().delete(session_key)
        if session_key in (None, self._channel_key):
            self.stored = False

    def flush(self) -> None:
        """Empty the session and remove the row."""
        self.clear()
        self.delete()

    def cycle_key(self) -> None:
        """Keep the key, as it is the channel's."""
        self.modified = True

    def is_empty(self) -> bool:
        """True when there is neither a row nor data for one."""
        return not self.keys() and not self.stored


def session_for_reply_channel(reply_channel: str) -> ChannelSession:
    """The session of the channel named ``reply_channel``, loaded when it is first looked into.

    Its key is ``"chn"`` and the first 29 digits of the name's SHA-1. Raises ``ValueError`` when
    sessions are kept in signed cookies.
    """
    digest = hashlib.sha1(reply_channel.encode(), usedforsecurity=False).hexdigest()
    return _channel_session_class(_engine())("chn" + digest[:29])


def _engine() -> type[SessionBase]:
    setting, module = conf.channel_session_engine()
    engine: type[SessionBase] = import_configured(
        f"{module}.SessionStore", f"session engine of {setting}"
    )
    if issubclass(engine, signed_cookies.SessionStore):
        raise ValueError(
            f"Channel sessions cannot be kept in signed cookies, as {setting} asks for: a "
            "socket's messages carry no cookies back. Set CHANNEL_SESSION_ENGINE to an engine "
            "that stores on the server, such as 'django.contrib.sessions.backends.cached_db'."
        )
    return engine


class _MadeAtOnce(SessionBase):
    """The file engine makes an empty file first. Whoever took it for the session could save it,
    only to have it replaced by what its maker then writes."""

    def save(self, must_create: bool = False) -> None:
        if not must_create:
            return super().save()
        session: Any = self
        path = session._key_to_file()
        handle, complete = tempfile.mkstemp(dir=os.path.dirname(path))
        try:
            with open(handle, "w", encoding="ascii") as file_of_session:
                file_of_session.write(self.encode(session._get_session(no_load=True)))
            os.link(complete, path)
        except FileExistsError as error:
            raise CreateError from error
        finally:
            os.unlink(complete)
        return None


class _LoadFromDatabase(SessionBase):
    """The cache in front of the database is filled by readers and writers in any order, so what
    it holds need not be what was saved last."""

    def load(self) -> dict[str, Any]:
        return db.SessionStore.load(self)


#: What engines need so that a session which was loaded is the one that was saved last.
CORRECTIONS: dict[type[SessionBase], type[SessionBase]] = {
    file.SessionStore: _MadeAtOnce,
    cached_db.SessionStore: _LoadFromDatabase,
}


@functools.cache
def _channel_session_class(engine: type[SessionBase]) -> type[ChannelSession]:
    corrections = [CORRECTIONS[base] for base in CORRECTIONS if issubclass(engine, base)]
    names = {"__module__": engine.__module__, "__qualname__": engine.__qualname__}
    return type(engine.__name__, (ChannelSession, *corrections, engine), names)
