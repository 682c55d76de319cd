"""The connections to one Redis server, and what its failures mean."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from redis.exceptions import BusyLoadingError, RedisError, ResponseError

from ...exceptions import ChannelLayerUnavailable
from .commands import Command
from .hosts import Host, address_of, get_connection_arguments

#: What redis-py lets through: UnicodeError when the other side is no Redis.
FAILURES = (RedisError, OSError, UnicodeError, asyncio.TimeoutError)

#: What a server answers when a command had no effect.
REFUSALS = (ResponseError, BusyLoadingError)

GET_CONNECTION = get_connection_arguments()


class KnownScripts:
    """Which scripts a server has been told, as far as can be known here."""

    def __init__(self) -> None:
        self._digests: set[str] = set()

    def teach(self, commands: Sequence[Command]) -> list[Command]:
        """The same commands, with the text of those scripts that are new to the server."""
        return [self._teach(command) for command in commands]

    def forget(self) -> None:
        """After a failure: it may have been a restart."""
        self._digests.clear()

    def _teach(self, command: Command) -> Command:
        script = command.script
        if script is None or script.digest in self._digests:
            return command
        self._digests.add(script.digest)
        return command.by_text()


class Server:
    """One server, over blocking connections; safe with threads, and after a fork.

    Blocking commands have connections of their own, so that they hold up no others.
    """

    def __init__(self, host: Host) -> None:
        self._pool = host.make_pool()
        self._blocking_pool = host.make_pool()
        self._known = KnownScripts()
        self.address = address_of(self._pool)

    def __repr__(self) -> str:
        return f"<Server {self.address}>"

    def begin(self, commands: Sequence[Command]) -> Talk:
        """Say all of it in one write; raises ``ChannelLayerUnavailable`` if nothing was said."""
        blocking = any(command.blocking for command in commands)
        return Talk(
            self._blocking_pool if blocking else self._pool, self.address, commands, self._known
        )

    def close(self) -> None:
        """Close all connections; later commands make new ones."""
        self._pool.disconnect()
        self._blocking_pool.disconnect()


class Talk:
    """Commands that a server was sent together, and whose answers are still to be read."""

    def __init__(
        self, pool: Any, address: str, commands: Sequence[Command], known: KnownScripts
    ) -> None:
        self._pool = pool
        self._address = address
        self._expected = len(commands)
        self._known = known
        self._failure: ChannelLayerUnavailable | None = None
        self._connection: Any = None
        try:
            self._connection = pool.get_connection(*GET_CONNECTION)
        except FAILURES as error:
            known.forget()
            raise unreachable(address, error) from error
        self._say(known.teach(commands))

    def _say(self, commands: list[Command]) -> None:
        connection = self._connection
        try:
            if len(commands) == 1:
                connection.send_command(*commands[0].arguments)
            else:
                packed = connection.pack_commands([command.arguments for command in commands])
                connection.send_packed_command(packed)
        except FAILURES as error:
            self._fail(error)
        except BaseException:
            self.close()
            raise

    def can_read(self, seconds: float) -> bool:
        """Whether the first answer is there, or a failure; waits for it so long."""
        if self._failure:
            return True
        try:
            return bool(self._connection.can_read(seconds))
        except FAILURES as error:
            self._fail(error)
            return True
        except BaseException:
            self.close()
            raise

    def answers(self) -> list[Any]:
        """The answers; a refusal, or the failure that ended the talk, stands in their place."""
        answers: list[Any] = []
        try:
            while len(answers) < self._expected:
                answers.append(self._failure or self._read())
        except BaseException:
            self.close()
            raise
        self._release()
        return answers

    def close(self) -> None:
        """Give the connection up, with the answers that it still owes."""
        if self._connection:
            self._connection.disconnect()
            self._release()

    def _release(self) -> None:
        self._pool.release(self._connection)
        self._connection = None

    def _read(self) -> Any:
        try:
            return self._connection.read_response()
        except REFUSALS as error:
            return error
        except FAILURES as error:
            return self._fail(error)

    def _fail(self, error: BaseException) -> ChannelLayerUnavailable:
        self._connection.disconnect()
        self._known.forget()
        self._failure = unanswered(self._address, error)
        self._failure.__cause__ = error
        return self._failure


class LoopServer:
    """The same as ``Server``, over asyncio connections of one event loop."""

    def __init__(self, host: Host) -> None:
        self._pool = host.make_async_pool()
        self._blocking_pool = host.make_async_pool()
        self._known = KnownScripts()
        self.address = address_of(self._pool)

    async def execute(self, commands: Sequence[Command]) -> list[Any]:
        """Say all of it in one write, and return the answers, like those of ``Talk``."""
        blocking = any(command.blocking for command in commands)
        pool = self._blocking_pool if blocking else self._pool
        try:
            connection = await pool.get_connection(*GET_CONNECTION)
        except FAILURES as error:
            self._known.forget()
            raise unreachable(self.address, error) from error
        try:
            return await self._talk(connection, self._known.teach(commands))
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        finally:
            await pool.release(connection)

    async def _talk(self, connection: Any, commands: list[Command]) -> list[Any]:
        answers: list[Any] = []
        try:
            packed = connection.pack_commands([command.arguments for command in commands])
            await connection.send_packed_command(packed)
            while len(answers) < len(commands):
                answers.append(await self._read(connection))
        except FAILURES as error:
            await connection.disconnect(nowait=True)
            self._known.forget()
            failure = unanswered(self.address, error)
            failure.__cause__ = error
            answers += [failure] * (len(commands) - len(answers))
        return answers

    async def _read(self, connection: Any) -> Any:
        try:
            return await connection.read_response()
        except REFUSALS as error:
            return error

    async def close(self) -> None:
        """Close all connections; later commands make new ones."""
        await self._pool.disconnect()
        await self._blocking_pool.disconnect()


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


def unreachable(address: str, error: BaseException) -> ChannelLayerUnavailable:
    return ChannelLayerUnavailable(
        f"Redis at {address} cannot be reached ({_reason(error)}); nothing was sent."
    )


def unanswered(address: str, error: BaseException) -> ChannelLayerUnavailable:
    return ChannelLayerUnavailable(
        f"Redis at {address} did not answer ({_reason(error)}); what was sent may have arrived "
        "or not, and is not repeated.",
        may_have_arrived=True,
    )


def refused(address: str, error: BaseException) -> ChannelLayerUnavailable:
    refusal = ChannelLayerUnavailable(
        f"Redis at {address} refused the command, which had no effect ({_reason(error)})."
    )
    refusal.__cause__ = error
    return refusal


def _reason(error: BaseException) -> str:
    if "unauthenticated" in str(error):  # how Redis answers a long command without a password
        return f"it wants a password: {error}"
    return str(error).rstrip(".") or type(error).__name__
