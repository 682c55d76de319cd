"""The connections to one Redis server, and what its failures mean."""

from __future__ import annotations

import asyncio
import time
from typing import Any, cast

from redis.exceptions import BusyLoadingError, NoScriptError, RedisError, ResponseError

from ...exceptions import ChannelLayerUnavailable
from .commands import Call, Command, Result, Steps
from .hosts import Host, address_of, block_seconds, get_connection_arguments

#: What redis-py lets through: UnicodeError when the other side is no Redis.
FAILURES = (RedisError, OSError, UnicodeError, asyncio.TimeoutError)

GET_CONNECTION = get_connection_arguments()


class Server:
    """One server, over blocking connections; safe with threads, and after a fork."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._pool = host.make_pool()
        self._blocking_pool = host.make_pool()
        self.address = address_of(self._pool)
        self.block_seconds = block_seconds(self._pool)

    def __repr__(self) -> str:
        return f"<Server {self.address}>"

    def for_loop(self) -> LoopServer:
        """The same server for the running event loop."""
        return LoopServer(self._host)

    def drive(self, steps: Steps[Result]) -> Result:
        """Say to the server what ``steps`` asks for; returns what it returns."""
        answer = None
        while True:
            try:
                step = steps.send(answer)
            except StopIteration as end:
                return cast(Result, end.value)
            answer = self.run(step) if isinstance(step, Call) else self.execute(step)

    def run(self, call: Call) -> Any:
        """The result of a script; raises ``ChannelLayerUnavailable``."""
        try:
            return self.execute(call.by_digest())
        except NoScriptError:
            return self.execute(call.by_text())

    def execute(self, command: Command) -> Any:
        """The answer to a command, which is never repeated; raises ``ChannelLayerUnavailable``.

        Blocking commands have connections of their own, so that they hold up no others.
        """
        pool = self._blocking_pool if command.blocking else self._pool
        try:
            connection = pool.get_connection(*GET_CONNECTION)
        except FAILURES as error:
            raise unreachable(self.address, error) from error
        try:
            connection.send_command(*command.arguments)
            return connection.read_response()
        except NoScriptError:
            raise
        except (ResponseError, BusyLoadingError) as error:
            raise refused(self.address, error) from error
        except FAILURES as error:
            connection.disconnect()
            raise unanswered(self.address, error) from error
        except BaseException:
            connection.disconnect()
            raise
        finally:
            pool.release(connection)

    def close(self) -> None:
        """Close all connections; later commands make new ones."""
        self._pool.disconnect()
        self._blocking_pool.disconnect()


class LoopServer:
    """The same as ``Server``, over asyncio connections of one event loop."""

    def __init__(self, host: Host) -> None:
        self._pool = host.make_async_pool()
        self._blocking_pool = host.make_async_pool()
        self.address = address_of(self._pool)
        self.block_seconds = block_seconds(self._pool)

    async def drive(self, steps: Steps[Result]) -> Result:
        """Say to the server what ``steps`` asks for; returns what it returns."""
        answer = None
        while True:
            try:
                step = steps.send(answer)
            except StopIteration as end:
                return cast(Result, end.value)
            answer = await (self.run(step) if isinstance(step, Call) else self.execute(step))

    async def run(self, call: Call) -> Any:
        """The result of a script; raises ``ChannelLayerUnavailable``."""
        try:
            return await self.execute(call.by_digest())
        except NoScriptError:
            return await self.execute(call.by_text())

    async def execute(self, command: Command) -> Any:
        """The answer to a command; like ``Server.execute``."""
        pool = self._blocking_pool if command.blocking else self._pool
        try:
            connection = await pool.get_connection(*GET_CONNECTION)
        except FAILURES as error:
            raise unreachable(self.address, error) from error
        try:
            await connection.send_command(*command.arguments)
            return await connection.read_response()
        except NoScriptError:
            raise
        except (ResponseError, BusyLoadingError) as error:
            raise refused(self.address, error) from error
        except FAILURES as error:
            await connection.disconnect(nowait=True)
            raise unanswered(self.address, error) from error
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        finally:
            await pool.release(connection)

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
    return ChannelLayerUnavailable(
        f"Redis at {address} refused the command, which had no effect ({_reason(error)})."
    )


def _reason(error: BaseException) -> str:
    if "unauthenticated" in str(error):  # how Redis answers a long command without a password
        return f"it wants a password: {error}"
    return str(error).rstrip(".") or type(error).__name__
