"""Fixtures of the whole test suite."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import hypothesis
import pytest

from channels.layers.redis import RedisChannelLayer, pools

from .certificates import Certificates, make_certificates
from .redis_cluster import ClusterDeployment
from .redis_deployments import running_shards
from .redis_sentinel import SentinelDeployment
from .redis_server import RedisServer, find_bundled_redis_server, find_redis_server_with_tls

#: What takes longest, the longest first. Several processes do the tests file by file: a long one
#: that one of them began last would keep all others waiting.
LONGEST = (
    "testtools/test_liveserver.py",
    "ports/test_ports.py",
    "examples/test_liveblog.py",
    "layers/test_conformance.py",
    "layers/test_redis_deployments.py",
    "faults/test_long_outage.py",
    "fuzz/test_fuzz.py",
    "layers/test_redis_groups.py",
    "layers/test_redis_cluster.py",
    "delay/test_rundelay.py",
    "layers/test_conformance_shards.py",
    "layers/test_redis_connections.py",
    "faults/test_outages.py",
    "examples/test_chat.py",
    "layers/test_redis_groups_loss.py",
    "binding/test_fuzz.py",
)


# Whether a change may land is no matter of luck: the same examples in every run but for new code,
# and no deadline, as the machine may be busy.
hypothesis.settings.register_profile("tests", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("tests")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the longest files come first; xdist must be told to keep that order."""
    places = {f"tests/{name}": place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.nodeid.partition("::")[0], len(places)))


@pytest.fixture(autouse=True)
def _every_connection_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a command meets is no matter of how quickly its test has stopped a server."""
    monkeypatch.setattr(pools, "FRESH_SECONDS", 0)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A Redis server that all tests share: none of them stops or empties it."""
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="session")
def redis_url(redis_server: RedisServer) -> str:
    return redis_server.url


@pytest.fixture(scope="session")
def bundled_redis_server() -> Iterator[RedisServer]:
    """A server of Redis 6.2, the oldest version that is supported; all tests share it."""
    with RedisServer(binary=find_bundled_redis_server()) as server:
        yield server


@pytest.fixture(scope="session")
def redis_shards() -> Iterator[list[RedisServer]]:
    """Three servers that know nothing of each other; all tests share them."""
    with running_shards() as servers:
        yield servers


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def redis_tls(certificates: Certificates) -> Iterator[RedisServer]:
    """A server that speaks TLS alone, with clients that show a certificate; all tests share it."""
    binary = find_redis_server_with_tls()
    with RedisServer(binary=binary, certificates=certificates) as server:
        yield server


@pytest.fixture
def redis_sentinel() -> Iterator[SentinelDeployment]:
    """A master, a replica and a sentinel, for one test that may break them."""
    with SentinelDeployment() as deployment:
        yield deployment


@pytest.fixture(scope="session")
def redis_cluster() -> Iterator[ClusterDeployment]:
    """A cluster that all tests share: who moves slots or kills nodes starts another one."""
    # It has no replica, so that nothing comes of a node taken for dead on a busy machine.
    with ClusterDeployment(node_timeout=10_000) as cluster:
        yield cluster


@pytest.fixture
def redis_config(redis_url: str) -> dict[str, object]:
    """The configuration of a Redis layer that shares nothing with those of other tests."""
    name = uuid.uuid4().hex
    return {"hosts": [redis_url], "prefix": f"{name}:", "stats_prefix": f"{name}-meta:"}


@pytest.fixture
def redis_layer(redis_config: dict[str, object]) -> Iterator[RedisChannelLayer]:
    """An empty Redis layer."""
    layer = RedisChannelLayer(**redis_config)  # type: ignore[arg-type]
    yield layer
    layer.flush()
    layer.close()
