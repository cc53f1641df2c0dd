"""A phone: calls ring it as toasts with two buttons, also while it does not run, when the agent starts it.

tocsin serve --state ./push                       the push service
tocsin app add contoso.phone --state ./push       the phone's remote id, and what may push to it; the secret into secret.txt
tocsin agent --service http://127.0.0.1:PORT      starts the phone
tocsin calling serve --client-id ID --client-secret-file secret.txt --token-url URL
tocsin calling users add ann                      prints Ann's token: into ~/.ann/token.txt
python examples/phone/phone.py ~/.ann             the phone; Ctrl-C ends it, and calls start it again
tocsin calling ring ann --video                   calls Ann

What it is set up with is in ~/.ann/phone.toml, which is private as all in that folder (chmod -R go= ~/.ann), since a process
that an agent starts has little of the environment:

calling_service = "http://127.0.0.1:8090"
token_file = "token.txt"
remote_id = "f80e541e-3606-48fb-935e-118a3c5f41f4"  # not needed where the agent has a push service of its own
video = true                                        # whether calls are accepted with video
hub = "contoso-hub"                                 # not needed; a hub that knows the phone, too, by
hub_connection_file = "listen.txt"                  # the connection string for listening
"""

import asyncio
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from stat import S_IMODE

import tocsin
from tocsin import calling

APP = "contoso.phone"


@dataclass(frozen=True)
class Setup:
    """What is in phone.toml; the files that it names are in the same folder."""

    folder: Path
    calling_service: str
    token_file: str
    remote_id: str = ""
    video: bool = False
    hub: str = ""
    hub_connection_file: str = ""
    quiet: float = 5.0
    """Seconds without a call after which a phone ends that was started for one."""

    @classmethod
    def read(cls, folder: Path) -> "Setup":
        """Read what is in a folder."""
        path = folder / "phone.toml"
        try:
            values = tomllib.loads(cls(folder, "", "").private(path.name))
        except tomllib.TOMLDecodeError as error:
            sys.exit(f"{path} is no TOML: {error}")
        known = {field.name for field in fields(cls)} - {"folder"}
        strange, missing = sorted(values.keys() - known), sorted({"calling_service", "token_file"} - values.keys())
        if strange:
            sys.exit(f"{path} has {', '.join(strange)}, which means nothing: it may have {', '.join(sorted(known))}")
        if missing:
            sys.exit(f"{path} lacks {' and '.join(missing)}")
        return cls(folder, **values)

    def private(self, name: str) -> str:
        """Return what is in a file that its user alone can read."""
        path = self.folder / name
        if S_IMODE(path.stat().st_mode) & 0o077:
            sys.exit(f"{path} can be read by others: chmod go= {path}")
        return path.read_text().strip()

    async def token(self) -> str:
        """Return the user's token, read anew: a real phone would ask its own server."""
        return await asyncio.to_thread(self.private, self.token_file)

    def notification_hub(self) -> tocsin.NotificationHub | None:
        """Return the hub that knows the phone."""
        if not self.hub:
            return None
        return tocsin.NotificationHub(self.hub, self.private(self.hub_connection_file), app=APP, state=self.folder)


class Activity:
    """What goes on, for a phone that ends when nothing does."""

    def __init__(self) -> None:
        self._stirred = asyncio.Event()

    def tell(self, *words: object) -> None:
        """Print what has happened."""
        print(*words, flush=True)
        self._stirred.set()

    async def wait_for_quiet(self, seconds: float, is_busy: Callable[[], bool]) -> None:
        """Wait until nothing has happened for a while, and nothing is under way."""
        while True:
            self._stirred.clear()
            try:
                await asyncio.wait_for(self._stirred.wait(), seconds)
            except TimeoutError:
                if not is_busy():
                    return


def follow(activity: Activity, client: calling.CallClient, bell: calling.CallToasts) -> None:
    """Say what happens to calls, and with the toasts of calls."""

    def ended(args: calling.CallEndedEventArgs) -> None:
        activity.tell(args.incoming_call.caller_info.shown, "does not ring any more:", args.reason)

    def received(args: calling.IncomingCallReceivedEventArgs) -> None:
        activity.tell(args.incoming_call.caller_info.shown, "rings")
        args.incoming_call.call_ended.add(ended)

    def state(args: calling.CallStateChangedEventArgs) -> None:
        reason = args.call.call_end_reason if args.state is calling.CallState.DISCONNECTED else None
        activity.tell("the call is", args.state.name, *([] if reason is None else [reason]))

    def accepted(args: calling.CallAcceptedEventArgs) -> None:
        activity.tell("accepted the call of", args.incoming_call.caller_info.shown)
        args.call.state_changed.add(state)

    def pushed(args: calling.PushNotificationHandledEventArgs) -> None:
        activity.tell("a push:", args.outcome.name, *([] if args.reason is None else [args.reason]))

    client.incoming_call_received.add(received)
    client.push_notification_handled.add(pushed)
    bell.call_accepted.add(accepted)
    bell.call_declined.add(lambda args: activity.tell("declined the call of", args.incoming_call.caller_info.shown))
    bell.answer_failed.add(lambda args: activity.tell(f"could not {args.action} the call:", args.error))


def follow_registration(activity: Activity, registration: calling.ChannelRegistration) -> None:
    """Say whether calls reach this phone while it does not run."""
    registration.registered.add(
        lambda args: activity.tell("calls start this phone until", args.channel.expiration_time)
    )
    registration.failed.add(lambda args: activity.tell("calls may not start this phone:", args.error))


async def was_started_for_a_call() -> bool:
    """Tell whether the agent has started this process, for a push or for a click on a toast: handlers have these already."""
    try:
        return (await tocsin.get_activated_event_args()).kind is not tocsin.ExtendedActivationKind.LAUNCH
    except tocsin.TimedOut:  # for one that another process has had since
        return True


async def main(setup: Setup) -> None:
    """Ring when called; where the agent has started it, until no call is left."""
    activity = Activity()
    async with (
        tocsin.connect(APP) as manager,
        calling.CallClient(setup.calling_service, app=APP, state=setup.folder) as client,
        calling.CallToasts(manager.toasts, client, accept_options=calling.AcceptCallOptions(video=setup.video)) as bell,
    ):

        async def on_push(args: tocsin.PushNotificationReceivedEventArgs) -> None:
            if args.type is tocsin.NotificationType.RAW:
                await client.handle_push_notification(args.payload)
                args.handled = True  # or background work would get it once more

        async def on_background(args: tocsin.BackgroundActivatedEventArgs) -> None:
            await client.handle_push_notification(args.task_instance.trigger_details.payload)

        def is_busy() -> bool:
            agent = client.call_agent
            return bell.is_answering or bool(agent and (agent.incoming_calls or agent.calls))

        follow(activity, client, bell)
        credential = calling.CallTokenCredential(await setup.token(), setup.token)
        agent = await client.create_call_agent(credential)
        await manager.on_background_activated(on_background)
        registration = manager.registration
        remote_id = setup.remote_id or (None if registration is None else registration.remote_id)
        async with calling.ChannelRegistration(
            manager, agent, remote_id=remote_id, hub=setup.notification_hub(), push_received=on_push
        ) as kept:
            follow_registration(activity, kept)
            if await was_started_for_a_call():
                await activity.wait_for_quiet(setup.quiet, is_busy)
                activity.tell("no call is left")
            else:
                await asyncio.Event().wait()


if __name__ == "__main__":
    home = Path(sys.argv[1] if len(sys.argv) > 1 else "~/.tocsin-phone").expanduser().absolute()
    try:
        tocsin.run(main, Setup.read(home))
    except OSError as error:
        sys.exit(str(error))
