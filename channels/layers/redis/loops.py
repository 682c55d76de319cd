"""What belongs to each event loop that uses a layer: connections, and the pops that run in it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import weakref
from collections.abc import AsyncGenerator, Callable

from .driver import LoopDriver
from .entries import Entry
from .pops import Pop, Pops


class InLoop:
    """What belongs to one event loop.

    All of it goes when the loop ends, as loops close their asynchronous generators then.
    """

    def __init__(
        self,
        driver: LoopDriver,
        pop: Callable[[LoopDriver], Pop],
        give_back: Callable[[list[Entry]], None],
        at_end: Callable[[asyncio.AbstractEventLoop], None],
    ) -> None:
        self.driver = driver
        self.pops = Pops(pop(driver), give_back)
        self._end = self._wait_for_end(at_end)
        # Only a generator that has been started is known to its loop.
        with contextlib.suppress(StopIteration):
            self._end.__anext__().__await__().send(None)

    async def close(self) -> None:
        await self.pops.finish()
        await self.driver.close()

    async def _wait_for_end(
        self, at_end: Callable[[asyncio.AbstractEventLoop], None]
    ) -> AsyncGenerator[None, None]:
        loop = asyncio.get_running_loop()
        try:
            yield
        finally:
            at_end(loop)
            await self.close()


class Loops:
    """What belongs to the event loops of a layer, made where it is first needed."""

    def __init__(
        self,
        make_driver: Callable[[], LoopDriver],
        pop: Callable[[LoopDriver], Pop],
        give_back: Callable[[list[Entry]], None],
    ) -> None:
        self._make_driver = make_driver
        self._pop = pop
        self._give_back = give_back
        self._known: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, InLoop]
        self._known = weakref.WeakKeyDictionary()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._known)

    def unlock(self) -> None:
        """In a forked child, where another thread may have held the lock.

        Connections of the parent's event loops are left as they are: closing them would also
        end the parent's use of them.
        """
        self._lock = threading.Lock()

    def running(self) -> InLoop:
        """What belongs to the running event loop."""
        loop = asyncio.get_running_loop()
        return self._known.get(loop) or self._add(loop)

    def _add(self, loop: asyncio.AbstractEventLoop) -> InLoop:
        with self._lock:
            for other in [other for other in self._known if other.is_closed()]:
                del self._known[other]
            added = InLoop(self._make_driver(), self._pop, self._give_back, self._drop)
            self._known[loop] = added
            return added

    def close_all(self) -> None:
        """Ask the event loops that run to close their connections."""
        with self._lock:
            known = dict(self._known)
        for loop, in_loop in known.items():
            if loop.is_running():
                asyncio.run_coroutine_threadsafe(in_loop.close(), loop)

    def _drop(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._lock:
            self._known.pop(loop, None)
