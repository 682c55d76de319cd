"""What the tests of the projects with real servers share."""

import contextlib
import json

import httpx
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from websockets.sync.client import connect

from channels.tests import ChannelLiveServerTestCase

#: Seconds after which what was awaited is not going to happen any more.
PATIENCE = 30


class LiveTestCase(ChannelLiveServerTestCase):
    def setUp(self):
        self.http = self.enterContext(
            httpx.Client(base_url=self.live_server_url, timeout=PATIENCE, trust_env=False)
        )

    def session_of(self, user, **data):
        """The key of an HTTP session in which ``user`` is logged in."""
        session = SessionStore()
        session[SESSION_KEY] = str(user.pk)
        session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
        session[HASH_SESSION_KEY] = user.get_session_auth_hash()
        session.update(data)
        session.save()
        return session.session_key

    @contextlib.contextmanager
    def open(self, path, user=None, **data):
        headers = {}
        if user is not None:
            headers["Cookie"] = "sessionid=%s" % self.session_of(user, **data)
        with connect(
            self.live_server_ws_url + path,
            additional_headers=headers,
            origin=self.live_server_url,
            open_timeout=PATIENCE,
            max_queue=None,
            proxy=None,
        ) as socket:
            yield Socket(socket)

    def socket(self, path, user=None, **data):
        """A socket that is closed after the test."""
        return self.enterContext(self.open(path, user, **data))


class Socket:
    def __init__(self, connection):
        self.connection = connection

    def send(self, **content):
        self.connection.send(json.dumps(content))

    def receive(self):
        return json.loads(self.connection.recv(PATIENCE))

    def receive_until(self, found):
        """The next frame of which ``found`` is true; those before it are left out."""
        while True:
            content = self.receive()
            if found(content):
                return content

    def receive_type(self, kind):
        return self.receive_until(lambda content: content["type"] == kind)
