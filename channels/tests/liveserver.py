"""The old name of ``channels.test.liveserver``."""

from ..test.liveserver import ChannelLiveServerTestCase, ProtocolServerProcess, WorkerProcess

__all__ = ["ChannelLiveServerTestCase", "ProtocolServerProcess", "WorkerProcess"]
