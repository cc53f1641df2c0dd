"""Starts the processes of apps that do not run, and finds the payload, or the click on a toast, that each was started for.

Whether to start one is decided by the supervisor, or by the shell, and that one hears how it went. Its table is
``tocsin.protocol.platform.launches``.
"""

from __future__ import annotations

import logging
import os
import signal
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from hmac import compare_digest
from pathlib import Path
from secrets import token_urlsafe

import anyio
from anyio import EndOfStream
from anyio.abc import TaskGroup
from attrs import Factory, define, field, frozen

from tocsin.actors.bad_frames import BadFrames
from tocsin.actors.sessions import Sessions
from tocsin.agent.process_starter import MAX_SHOWN, LaunchedProcess, NotStarted, ProcessStarter, StartProcess
from tocsin.mailbox import Mailbox
from tocsin.protocol.errors import FrameError
from tocsin.protocol.hresult import HResult
from tocsin.protocol.kernel.machine import step
from tocsin.protocol.messages import (
    CallOffLaunch,
    Claimed,
    ClaimPayload,
    EndProcess,
    Failed,
    Launch,
    LaunchEnded,
    Stamped,
    StopLaunch,
)
from tocsin.protocol.messages.codec import decode_own
from tocsin.protocol.platform.activation import KILL_AFTER
from tocsin.protocol.platform.command import Command
from tocsin.protocol.platform.launched_work import FileStamp
from tocsin.protocol.platform.launches import (
    CLAIM_ARGUMENTS,
    MAX_UNCLAIMED,
    STARTING,
    STOPPING,
    TABLE,
    Effect,
    Event,
    LaunchPurpose,
    Phase,
)
from tocsin.protocol.text import MAX_DETAIL, harmless
from tocsin.tasks import task_group

logger = logging.getLogger(__name__)

MAX_SESSIONS = 64
"""Sessions of a launched process that are remembered, the newest."""

_NOTHING = (
    "there is nothing for this claim: it was claimed before, or its process has ended, or was given up by the agent"
)

_WHAT = {LaunchPurpose.PUSH: "payload", LaunchPurpose.TOAST: "click"}
"""What a process is launched for, in a word."""

_Key = tuple[LaunchPurpose, str, int, int]


@frozen
class Launched:
    """A process that was launched and has a session, for what looks at it while it works."""

    pid: int
    command: Command
    stamps: Mapping[bytes, FileStamp]
    """The files of its command, as they were when it was started."""


@define(eq=False)
class _Launched:
    """One launch, and its process while there is one."""

    order: Launch
    command: Command
    claim: bytes = field(repr=False)
    phase: Phase = Phase.WAITING
    process: LaunchedProcess | None = None
    stamps: Mapping[bytes, FileStamp] = Factory(dict)
    sessions: deque[str] = Factory(lambda: deque[str](maxlen=MAX_SESSIONS))
    """The sessions that it has had, the newest last."""
    session: str = ""
    """The one that has claimed."""
    request: int = 0
    detail: str = ""
    """Why nothing will come of it."""
    was_killed: bool = False
    """Whether a signal has ended its process."""

    @property
    def key(self) -> _Key:
        """What it is known by to who has ordered it."""
        return self.order.purpose, self.order.app, self.order.sequence, self.order.attempt


class Launcher:
    """Takes launches from its mailbox, and claims from the sessions of launched processes.

    :param mailbox: where its orders and the claims of apps wait.
    :param supervisor: the mailbox that hears how each launch for a payload went.
    :param shell: the same for clicks on toasts; None where there are none.
    :param sessions: where claims are answered.
    :param socket: the agent's socket, which launched processes find in ``TOCSIN_SOCKET``.
    :param dead_letters: keeps what is not for it.
    :param new_claim: makes a secret that nothing can guess.
    :param start: starts a process; None starts one of the system's, in a thread, as the file system may block.
    :param grace: seconds that a stopped process has before it is killed.
    """

    def __init__(  # noqa: PLR0913  # what a test puts in its place
        self,
        mailbox: Mailbox,
        supervisor: Mailbox,
        sessions: Sessions,
        socket: Path,
        *,
        shell: Mailbox | None = None,
        dead_letters: BadFrames | None = None,
        new_claim: Callable[[], str] = lambda: token_urlsafe(24),
        start: StartProcess | None = None,
        grace: float = KILL_AFTER,
    ) -> None:
        self.mailbox = mailbox
        self._askers = {LaunchPurpose.PUSH: supervisor}
        if shell is not None:
            self._askers[LaunchPurpose.TOAST] = shell
        self._sessions = sessions
        self._dead_letters = BadFrames() if dead_letters is None else dead_letters
        self._new_claim = new_claim
        self._grace = grace
        self._launches: dict[_Key, _Launched] = {}
        self._waiting = {purpose: deque[_Launched]() for purpose in self._askers}  # a click waits for no payload
        self._unclaimed: set[_Launched] = set()
        self._early: dict[int, list[str]] = {}
        """Sessions that were met while processes were being started, by the leader of the session of their process."""
        self._starter = ProcessStarter(socket, MAX_UNCLAIMED * len(self._askers), start)
        self._tasks: TaskGroup
        self._perform: dict[Effect, Callable[[_Launched], None]] = {
            Effect.START: self._start,
            Effect.WATCH: self._watch,
            Effect.HAND_OVER: self._hand_over,
            Effect.FREE_PLACE: self._unclaimed.discard,
            Effect.REPORT: self._report,
            Effect.TERMINATE: self._terminate,
            Effect.KILL: self._kill,
            Effect.REAP: self._reap,
        }

    async def run(self) -> None:
        """Serve until the mailbox is closed, or cancelled; processes that were launched live on."""
        try:
            async with task_group() as self._tasks:
                with suppress(EndOfStream):
                    while True:
                        for frame in await self.mailbox.batch():
                            self._take(frame)
                        self._sessions.work.look_again()
                self._tasks.cancel_scope.cancel()
        finally:
            for launch in self._launches.values():
                if launch.process is not None:
                    launch.process.release()
            self._launches.clear()

    def launched(self, session: str) -> Launched | None:
        """Return what is known of the process whose session this is; None where it was not launched here, or has ended."""
        for launch in self._launches.values():
            if session in launch.sessions and launch.process is not None:
                return Launched(launch.process.pid, launch.command, launch.stamps)
        return None

    def meet(self, session: str, pid: int) -> None:
        """Note that a process has come with a session: whether it is of a launch is known by its leader, without a claim."""
        try:
            leader = os.getsid(pid)
        except OSError:  # it has just gone
            return
        for launch in list(self._launches.values()):
            if launch.process is not None and launch.process.pid == leader:
                self._attach(launch, session)
                return
        if any(each.phase in STARTING for each in self._launches.values()):  # faster than the news that it runs
            self._early.setdefault(leader, []).append(session)

    def _attach(self, launch: _Launched, session: str) -> None:
        launch.sessions.append(session)
        click = launch.order.sequence if launch.order.purpose is LaunchPurpose.TOAST else 0
        self._sessions.note_launched(session, launch.command.text(MAX_SHOWN), click)
        if (launch.phase, Event.CONNECTED) in TABLE:
            self._happened(launch, Event.CONNECTED)

    async def has_stopped(self) -> None:
        """Wait until no process is being stopped, and none is to be."""
        while self.mailbox.depth or any(each.phase in STOPPING for each in self._launches.values()):
            await self._sessions.work.changed()

    def claim(self, session: str, app: str, message: ClaimPayload) -> None:
        """Take the claim of a session of that app: who has ordered the launch hears of it where it is good, else the session."""
        given = message.claim.encode("utf-8", "backslashreplace")
        of_app = [launch for launch in self._launches.values() if launch.order.app == app]
        # All of them are compared, so that the time that it takes tells nothing.
        matching = [launch for launch in of_app if compare_digest(launch.claim, given)]
        if matching and (matching[0].phase, Event.CLAIM) in TABLE:
            matching[0].session, matching[0].request = session, message.request
            self._happened(matching[0], Event.CLAIM)
        else:
            self._sessions.send(session, Failed(message.request, "TimedOut", _NOTHING, HResult.ERROR_TIMEOUT))

    def _take(self, frame: bytes) -> None:
        match decode_own(frame):
            case Launch() as order if order.purpose in self._askers:
                self._order(order)
            case StopLaunch(app, sequence, attempt, purpose):
                launch = self._launches.get((purpose, app, sequence, attempt))
                if launch is not None:  # else its end and this have crossed
                    self._happened(launch, Event.STOP)
            case CallOffLaunch(app, sequence, attempt):
                launch = self._launches.get((LaunchPurpose.PUSH, app, sequence, attempt))
                if launch is not None and (launch.phase, Event.CALL_OFF) in TABLE:
                    self._happened(launch, Event.CALL_OFF)
            case EndProcess(session):
                for launch in [each for each in self._launches.values() if session in each.sessions]:
                    self._happened(launch, Event.STOP)
            case Stamped(session, app, inner) if isinstance(message := decode_own(inner), ClaimPayload):
                self.claim(session, app, message)
            case other:
                reason = f"the launcher does not take {type(other).__name__}"
                logger.error(reason)
                self._dead_letters.add(self.mailbox.name, frame, reason)

    def _order(self, order: Launch) -> None:
        """Let a launch wait for its turn; one that is under way is not begun again."""
        try:
            command = Command.unpack(order.command)
        except FrameError as wrong:
            self._tell_end(order, str(wrong))
            return
        launch = _Launched(order, command, self._new_claim().encode())
        if self._launches.setdefault(launch.key, launch) is launch:
            self._waiting[order.purpose].append(launch)
            self._give_turns()

    def _give_turns(self) -> None:
        for purpose, waiting in self._waiting.items():
            while waiting and sum(each.order.purpose is purpose for each in self._unclaimed) < MAX_UNCLAIMED:
                launch = waiting.popleft()
                if launch.phase is Phase.WAITING:
                    self._unclaimed.add(launch)
                    self._happened(launch, Event.TURN)

    def _happened(self, launch: _Launched, event: Event) -> None:
        """Perform what the table asks for."""
        launch.phase, effects = step(TABLE, launch.phase, event)
        for effect in effects:
            self._perform[effect](launch)
        if launch.phase is Phase.ENDED:
            del self._launches[launch.key]
        if Effect.FREE_PLACE in effects:
            self._give_turns()
        if launch.phase is Phase.ENDED:
            self._sessions.work.look_again()

    # Effects

    def _start(self, launch: _Launched) -> None:
        self._tasks.start_soon(self._run_start, launch, name="launch")

    async def _run_start(self, launch: _Launched) -> None:
        command = launch.command
        claim = CLAIM_ARGUMENTS[launch.order.purpose].encode() + launch.claim
        try:
            launch.stamps, launch.process = await self._starter.start(command, claim)
        except NotStarted as failure:
            launch.detail = f"could not be started: {failure}"
            self._happened(launch, Event.FAILED)
        else:
            leader = _process_of(launch).pid
            self._happened(launch, Event.STARTED)
            for session in self._early.pop(leader, ()):
                self._attach(launch, session)
        if not any(each.phase in STARTING for each in self._launches.values()):
            self._early.clear()

    def _watch(self, launch: _Launched) -> None:
        self._tasks.start_soon(self._run_watch, launch, name="launched process")

    async def _run_watch(self, launch: _Launched) -> None:
        await _process_of(launch).wait()
        self._happened(launch, Event.PROCESS_ENDED)

    def _hand_over(self, launch: _Launched) -> None:
        purpose, app, sequence, attempt = launch.key
        self._attach(launch, launch.session)  # where the system does not tell whose process it is
        self._askers[purpose].send_urgent(Claimed(launch.session, app, launch.request, sequence, attempt))

    def _report(self, launch: _Launched) -> None:
        detail = f"the command {launch.command.text(MAX_SHOWN)} {launch.detail}"
        self._tell_end(launch.order, detail, was_killed=launch.was_killed)

    def _tell_end(self, order: Launch, detail: str, *, was_killed: bool = False) -> None:
        ended = LaunchEnded(order.app, order.sequence, order.attempt, harmless(detail, MAX_DETAIL), was_killed)
        self._askers[order.purpose].send_urgent(ended)

    def _terminate(self, launch: _Launched) -> None:
        _process_of(launch).send(signal.SIGTERM)
        self._tasks.start_soon(self._run_grace, launch, name="grace of a launched process")

    async def _run_grace(self, launch: _Launched) -> None:
        await anyio.sleep(self._grace)
        self._happened(launch, Event.GRACE_OVER)

    def _kill(self, launch: _Launched) -> None:
        _process_of(launch).send(signal.SIGKILL)

    def _reap(self, launch: _Launched) -> None:
        end = _process_of(launch).reap()
        launch.detail = f"{end} before it claimed the {_WHAT[launch.order.purpose]}"
        launch.process, launch.was_killed = None, end.was_killed


def _process_of(launch: _Launched) -> LaunchedProcess:
    if launch.process is None:
        raise RuntimeError("a launch without a process is in a phase that has one")
    return launch.process
