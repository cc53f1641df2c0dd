"""A thread in which a database is used, so that no event loop waits for a disk.

Between a job and who waits for it there is one queue and one callback: for a commit that comes alone, all else that lies
between would take longer than its disk.
"""

from __future__ import annotations

from asyncio import Future, get_running_loop
from collections.abc import Callable
from errno import EAGAIN
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

from tocsin.persistence.medium import Ended

T = TypeVar("T")


class DiskThread:
    """Runs jobs in their order; the event loop in which it was made hears of their ends.

    :param name: what the thread is called.
    """

    def __init__(self, name: str) -> None:
        self._loop = get_running_loop()
        self._jobs: SimpleQueue[tuple[Callable[[], object], Ended] | None] = SimpleQueue()
        self._stops = False
        # A process that is left without having closed its database does not wait for a disk that hangs.
        Thread(target=self._work, name=name, daemon=True).start()

    def submit(self, job: Callable[[], object], ended: Ended) -> None:
        """Run a job after all that were submitted before it, and call back in the event loop when it has ended.

        :raises OSError: it was stopped.
        """
        if self._stops:
            raise BlockingIOError(EAGAIN, "it is closed")
        self._jobs.put((job, ended))

    async def run(self, job: Callable[[], T]) -> T:
        """Wait for a job's end, and return or raise what it does; it goes on where the caller is cancelled.

        :raises OSError: it was stopped.
        """
        settled = self._loop.create_future()
        self.submit(job, partial(_settle, settled))
        result, failure = await settled
        if failure is not None:
            raise failure
        return result  # type: ignore[no-any-return]  # what the job has returned

    def stop(self) -> None:
        """Take no more jobs; the thread ends with those that it has."""
        self._stops = True
        self._jobs.put(None)

    def _work(self) -> None:
        for job, ended in iter(self._jobs.get, None):
            self._do(job, ended)
            del job, ended  # what it had of rows is not kept until the next one comes

    def _do(self, job: Callable[[], object], ended: Ended) -> None:
        try:
            result = job()
        except BaseException as failure:  # noqa: BLE001  # it is raised where the job is waited for
            self._tell(ended, None, failure)
        else:
            self._tell(ended, result, None)

    def _tell(self, ended: Ended, result: object, failure: BaseException | None) -> None:
        try:  # noqa: SIM105  # of each commit: entering a context would take longer than the call
            self._loop.call_soon_threadsafe(ended, result, failure)
        except RuntimeError:  # the loop was closed meanwhile: no caller waits
            pass


def _settle(settled: Future[Any], result: object, failure: BaseException | None) -> None:
    if not settled.done():
        settled.set_result((result, failure))
