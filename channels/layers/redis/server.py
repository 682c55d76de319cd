"""The connections to one Redis server, and what its failures mean."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

from redis.exceptions import BusyLoadingError, RedisError, ResponseError

from ...exceptions import ChannelLayerUnavailable
from .command import Command, pack
from .hosts import Host
from .pools import Pool

#: What redis-py lets through: UnicodeError when the other side is no Redis.
FAILURES = (RedisError, OSError, UnicodeError, asyncio.TimeoutError)

#: What a server answers when a command had no effect.
REFUSALS = (ResponseError, BusyLoadingError)

#: What words of Redis and of redis-py mean, in lower case, for who has to do something about it.
MEANINGS = {
    "authentication required": "it wants a password:",
    "wrongtype": "a key of another program is in the way, give each a prefix of its own:",
    "'maxmemory'": "it is full: raise its maxmemory, or let more workers read what waits:",
    "protocol error": "is it a Redis server?",
    "codec can't decode": "is it a Redis server?",
}

#: Words, in lower case, of refusals that come before a script has written anything.
BEFORE_THE_FIRST = (
    "used memory > 'maxmemory'",
    "read only replica",
    "misconf",
    "noreplicas",
    "not enough good replicas",
    "masterdown",
)

#: Makes the error for a failure at an address.
Meaning = Callable[[str, Exception], ChannelLayerUnavailable]


class KnownScripts:
    """Which scripts a server has been told, as far as can be known here."""

    def __init__(self) -> None:
        self._digests: set[str] = set()

    def introduced(self, commands: Sequence[Command]) -> list[Command]:
        """What to say: the text of a script that is new to the server, else its digest."""
        return [command if self._is_known(command) else command.by_text() for command in commands]

    def _is_known(self, command: Command) -> bool:
        """From now on it is."""
        script = command.script
        if script is None or script.digest in self._digests:
            return True
        self._digests.add(script.digest)
        return False

    def forget(self) -> None:
        """After a failure: it may have been a restart."""
        self._digests.clear()


class Server:
    """One server, over blocking connections; safe with threads, and after a fork.

    Blocking commands have connections of their own, so that they hold up no others.
    """

    def __init__(self, host: Host) -> None:
        self.address = host.address
        self.known = KnownScripts()
        self._pool = host.make_pool()
        self._blocking_pool = host.make_pool()

    def __repr__(self) -> str:
        return f"<Server {self.address}>"

    def execute(self, commands: Sequence[Command]) -> list[Any]:
        """Say all of it in one write, and return the answers.

        What the server refuses, and what a failure leaves unanswered, has the error for its
        answer.
        """
        return self.begin(commands).answers()

    def begin(self, commands: Sequence[Command]) -> Talk:
        """Say all of it in one write; the answers are read later."""
        for command in commands:
            if command.blocking:
                return Talk(self, self._blocking_pool, commands)
        return Talk(self, self._pool, commands)

    def close(self) -> None:
        """Close all connections; later commands make new ones."""
        self._pool.close()
        self._blocking_pool.close()


class Talk:
    """Commands that a server was sent together, and whose answers are still to be read."""

    __slots__ = ("_commands", "_connection", "_failure", "_pool", "_server")

    def __init__(self, server: Server, pool: Pool, commands: Sequence[Command]) -> None:
        self._server = server
        self._pool = pool
        self._commands = commands
        self._failure: ChannelLayerUnavailable | None = None
        self._connection: Any = None
        meaning = unreachable
        try:
            self._connection = connection = pool.take()
            meaning = unanswered
            connection.send_packed_command(pack(connection, server.known.introduced(commands)))
        except FAILURES as error:
            self._fail(error, meaning)
        except BaseException:
            self.close()
            raise

    @property
    def has_failed(self) -> bool:
        return self._failure is not None

    def fileno(self) -> int:
        """The socket that the answers come on, to wait for; redis-py has no public name for it."""
        return int(self._connection._sock.fileno())

    def answers(self) -> list[Any]:
        """Wait for the answers: see ``Server.execute``."""
        answers: list[Any] = []
        connection = self._connection
        for _ in self._commands:
            try:
                answers.append(self._failure or connection.read_response())
            except REFUSALS as error:
                answers.append(error)
            except FAILURES as error:
                answers.append(self._fail(error, unanswered))
            except BaseException:
                self.close()
                raise
        if not self._failure:
            self._connection = None
            self._pool.give(connection)
        return answers

    def close(self) -> None:
        """Give the connection up, with the answers that it still owes."""
        if self._connection:
            self._pool.drop(self._connection)
            self._connection = None

    def _fail(self, error: Exception, meaning: Meaning) -> ChannelLayerUnavailable:
        self._server.known.forget()
        self._failure = meaning(self._server.address, error)
        self.close()
        return self._failure


class LoopServer:
    """The same as ``Server``, over asyncio connections of one event loop."""

    def __init__(self, host: Host) -> None:
        self._address = host.address
        self._known = KnownScripts()
        self._pool = host.make_loop_pool()
        self._blocking_pool = host.make_loop_pool()

    async def execute(self, commands: Sequence[Command]) -> list[Any]:
        """Say all of it in one write, and return the answers, like those of ``Talk``."""
        blocking = any(command.blocking for command in commands)
        pool = self._blocking_pool if blocking else self._pool
        answers: list[Any] = []
        try:
            connection = await pool.take()
        except FAILURES as error:
            return self._fail(error, unreachable, len(commands))
        try:
            said = pack(connection, self._known.introduced(commands))
            async with asyncio.timeout(pool.answer_seconds) as patience:
                await connection.send_packed_command(said)
                while len(answers) < len(commands):
                    answers.append(await self._read(connection))
                    if pool.answer_seconds is not None:
                        now = asyncio.get_running_loop().time()
                        patience.reschedule(now + pool.answer_seconds)
        except FAILURES as error:
            await pool.drop(connection)
            return answers + self._fail(error, unanswered, len(commands) - len(answers))
        except BaseException:
            await pool.drop(connection)
            raise
        await pool.give(connection)
        return answers

    async def _read(self, connection: Any) -> Any:
        try:
            return await connection.read_response()
        except REFUSALS as error:
            return error

    def _fail(self, error: Exception, meaning: Meaning, count: int) -> list[Any]:
        self._known.forget()
        return [meaning(self._address, error)] * count

    async def close(self) -> None:
        """Close all connections; later commands make new ones."""
        await self._pool.close()
        await self._blocking_pool.close()


class Clock:
    """A server's clock, known here without asking each time."""

    #: Seconds after which the server is asked again.
    VALID_SECONDS = 30.0

    def __init__(self) -> None:
        self._ahead = 0.0
        self._valid_until = float("-inf")

    def is_set(self) -> bool:
        return time.monotonic() < self._valid_until

    def set(self, asked_at: float, answer: tuple[bytes, bytes]) -> None:
        """Take over the server's answer to ``TIME``, asked at that monotonic time."""
        heard_at = time.monotonic()
        server_time = int(answer[0]) + int(answer[1]) / 1e6
        self._ahead = server_time - (asked_at + heard_at) / 2
        self._valid_until = heard_at + self.VALID_SECONDS

    def unset(self) -> None:
        self._valid_until = float("-inf")

    def now(self) -> float:
        """Milliseconds, as the server counts them."""
        return (time.monotonic() + self._ahead) * 1000


def unreachable(address: str, error: Exception) -> ChannelLayerUnavailable:
    return _unavailable(
        f"Redis at {address} cannot be reached ({_reason(error)}); nothing was sent.", error
    )


def unanswered(address: str, error: Exception) -> ChannelLayerUnavailable:
    return _unavailable(
        f"Redis at {address} did not answer ({_reason(error)}); what was sent may have arrived "
        "or not, and is not repeated.",
        error,
        may_have_arrived=True,
    )


def refused(address: str, error: Exception) -> ChannelLayerUnavailable:
    """A script may have begun before one of its commands was refused."""
    text = str(error).lower()
    if "script" in text and not any(words in text for words in BEFORE_THE_FIRST):
        return _unavailable(
            f"Redis at {address} refused a command in the middle ({_reason(error)}); what was "
            "sent may have arrived or not, and is not repeated.",
            error,
            may_have_arrived=True,
        )
    return _unavailable(
        f"Redis at {address} refused the command, which had no effect ({_reason(error)}).", error
    )


def _unavailable(
    text: str, cause: Exception, may_have_arrived: bool = False
) -> ChannelLayerUnavailable:
    error = ChannelLayerUnavailable(text, may_have_arrived=may_have_arrived)
    error.__cause__ = cause
    return error


def _reason(error: Exception) -> str:
    text = str(error).rstrip(".") or type(error).__name__.replace("Error", "")
    for words, meaning in MEANINGS.items():
        if words in text.lower():
            return f"{meaning} {text}"
    return text
