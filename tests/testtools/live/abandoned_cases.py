"""A test that waits to be killed."""

import threading

from channels.test import ChannelLiveServerTestCase


class Abandoned(ChannelLiveServerTestCase):
    def test_abandoned(self) -> None:
        print("serving", flush=True)
        threading.Event().wait()
