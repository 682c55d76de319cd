"""The contract of channel layers as a test suite, for layers of ours and of projects.

Mix it into a ``unittest.TestCase`` and say how a layer is made::

    class TestMyLayer(ChannelLayerConformance, unittest.TestCase):
        def make_layer(self, **config):
            return MyLayer(url=..., **config)

pytest and unittest both run it. What a layer does not list in its ``extensions`` is skipped.
"""

from .layer_cases.base import LayerCase
from .layer_cases.batches import ReceiveBatchCases, SendManyCases, TurnCases
from .layer_cases.delivery import AsyncCases, DeliveryCases, ExpiryCases
from .layer_cases.groups import GroupCases
from .layer_cases.limits import CapacityCases, FlushCases, StatisticsCases
from .layer_cases.messages import MessageCases, NameCases

__all__ = ["ChannelLayerConformance"]


class ChannelLayerConformance(
    NameCases,
    MessageCases,
    DeliveryCases,
    ExpiryCases,
    AsyncCases,
    SendManyCases,
    TurnCases,
    ReceiveBatchCases,
    CapacityCases,
    GroupCases,
    FlushCases,
    StatisticsCases,
    LayerCase,
):
    """Everything that the contract says and that can be seen from outside."""
