"""The rundelay command in real processes, over a database file and a real Redis."""

import shutil
import signal
import subprocess
import sys
from collections import Counter

import pytest

from channels.layers.redis import RedisChannelLayer

from ..redis_server import RedisServer
from .processes import PATIENCE, ROOT, Site, wait_for_line


@pytest.fixture(scope="module")
def migrated(tmp_path_factory):
    """A database with the tables alone."""
    site = Site(tmp_path_factory.mktemp("migrated"), None, {})
    site.migrate()
    return site.database


@pytest.fixture
def site(migrated, tmp_path, redis_layer, redis_config):
    site = Site(tmp_path, redis_layer, redis_config)
    shutil.copy(migrated, site.database)
    yield site
    site.kill_servers()


def test_two_servers_on_one_database_send_every_message_exactly_once(site):
    """Both meet the same backlog at their start, and share what comes later."""
    site.store({"n": n} for n in range(300))
    servers = [site.start_server("--sleep=0.05") for _ in range(2)]
    for n in range(300, 500):
        site.ask({"n": n}, delay=n - 300)
    received = site.receive(500)
    for server in servers:
        log, code = site.stop(server, signal.SIGTERM)
        assert (log, code) == ("", 0)
    received += site.receive_rest()
    assert Counter(content["n"] for content in received) == Counter(range(500))
    assert site.stored() == []


def test_a_server_that_is_killed_while_it_sends_costs_one_message_at_the_most(site):
    """What it sent is no longer in the database, so that no other server sends it again."""
    number = 5000  # more than it can send before it is killed
    site.store({"n": n} for n in range(number))
    server = site.start_server()
    received = site.receive(20)
    server.kill()
    server.communicate(timeout=PATIENCE)
    received += site.receive_rest()
    left = site.stored()
    assert len(left) > 0
    counts = Counter(content["n"] for content in received + left)
    assert set(counts.values()) == {1}
    assert len(counts) >= number - 1


@pytest.mark.parametrize("signo", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_an_idle_server_in_order(site, signo):
    server = site.start_server()
    assert site.stop(server, signo) == ("", 0)


def test_what_is_not_due_at_the_end_is_sent_by_the_next_server(site):
    server = site.start_server()
    site.ask({"bytes": b"\xff"}, delay=1500)
    while not site.stored():
        assert server.poll() is None
    assert site.stop(server, signal.SIGTERM) == ("", 0)
    assert site.receive_rest() == []
    site.start_server()
    assert site.receive(1) == [{"bytes": b"\xff"}]


def test_a_database_that_comes_late_is_waited_for(tmp_path, redis_layer, redis_config):
    """It is no reason to end: the line in the log tells what is missing."""
    site = Site(tmp_path, redis_layer, redis_config)
    try:
        server = site.start_server()
        assert "no such table" in wait_for_line(server, "ERROR")
        site.ask({"n": 1})
        site.migrate()
        assert site.receive(1) == [{"n": 1}]
        assert site.stop(server, signal.SIGTERM) == ("", 0)
    finally:
        site.kill_servers()


def test_a_restart_of_redis_loses_nothing_that_waits_in_the_database(migrated, tmp_path):
    with RedisServer() as redis:
        config = {"hosts": [redis.url]}
        layer = RedisChannelLayer(**config)
        site = Site(tmp_path, layer, config)
        shutil.copy(migrated, site.database)
        try:
            server = site.start_server()
            site.ask({"n": 0})
            assert site.receive(1) == [{"n": 0}]
            redis.stop()
            site.store({"n": n} for n in range(1, 4))
            assert wait_for_line(server, "ERROR")
            assert len(site.stored()) == 3
            redis.start()
            assert site.receive(3) == [{"n": 1}, {"n": 2}, {"n": 3}]
            assert site.stop(server, signal.SIGTERM)[1] == 0
        finally:
            site.kill_servers()
            layer.close()


def test_who_does_not_install_the_app_does_not_load_it():
    """Without it in INSTALLED_APPS its model could not even be imported."""
    code = (
        "import sys, django, channels\n"
        "from django.conf import settings\n"
        "settings.configure(INSTALLED_APPS=['channels'])\n"
        "django.setup()\n"
        "from django.core.management import call_command, get_commands\n"
        "call_command('check')\n"
        "assert 'rundelay' not in get_commands()\n"
        "print([name for name in sys.modules if name.startswith('channels.delay')])\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE
    )
    assert result.stdout.splitlines()[-1:] == ["[]"], result.stderr
