"""The ledger of one run: what senders were told of each notification, and what its device did with it."""

from __future__ import annotations

import math
import time
from collections import Counter, deque
from collections.abc import Iterable
from functools import partial

from attrs import Factory, define

LATE = 30.0
"""Seconds after which a request whose answer nothing hears any more has no effect either."""


@define(eq=False)
class Post:
    """A notification, or a DELETE of toasts, at moments of this process's clock; ``ended`` is when it could last have had an effect.

    ``slots`` are those of which it lets nothing stay that is older; ``mortal`` is one that may be gone before it comes. A message of Web
    Push has a slot of its own besides, so that it can be deleted.
    """

    number: int
    device: int
    slots: tuple[str, ...]
    mortal: bool
    by_web_push: bool
    began: float
    node: str = ""
    ended: float = math.inf
    received: bool = False
    """Whether its sender was told that it is received."""
    location: str = ""
    """Where a message is that was received, without the host."""
    handled: float = 0.0
    id: str = ""
    """Under which it was handled."""


@define(eq=False)
class DeviceAccount:
    """What is known of one device."""

    ids: set[str] = Factory(set)
    """What it has handled, which it knows again."""
    latest: Post | None = None
    """That of those that it has handled which began last."""
    places: deque[tuple[float, str]] = Factory(partial(deque, maxlen=8))
    """Where it was lately."""
    waiting: dict[int, Post] = Factory(dict)
    """What was received, or may yet be, and is not handled."""
    slots: dict[str, list[Post]] = Factory(dict)


def message_slot(number: int) -> str:
    """Name the slot of one message of Web Push."""
    return f"message {number}"


class Ledger:
    """All posts, by number, and all that must not be."""

    def __init__(self, devices: int) -> None:
        self.devices = [DeviceAccount() for _ in range(devices)]
        self.posts: list[Post] = []
        self.answers: Counter[str] = Counter()
        self.received = 0
        self.messages = 0
        """Of Web Push, among them."""
        self.handled = 0
        self.again = 0
        """How often a device was sent what it had handled, and knew it by its id."""
        self.violations: list[str] = []
        self.troubles: list[tuple[float, str]] = []
        """What was done to the nodes and to PostgreSQL, and when."""
        self._complained: set[int] = set()
        self.began = time.monotonic()

    # Senders

    def begin(self, device: int, *slots: str, mortal: bool = False, by_web_push: bool = False) -> Post:
        """Note that a request begins."""
        number = len(self.posts)
        slots += (message_slot(number),) if by_web_push else ()
        post = Post(number, device, slots, mortal, by_web_push, time.monotonic())
        self.posts.append(post)
        account = self.devices[device]
        account.waiting[number] = post
        for slot in slots:
            account.slots.setdefault(slot, []).append(post)
        return post

    def end(self, post: Post, answer: str, *, received: bool = False) -> None:
        """Note what the sender was told."""
        self.answers[answer] += 1
        post.ended = time.monotonic()
        post.received = received
        self.received += received
        self.messages += received and post.by_web_push
        if not received:
            self.devices[post.device].waiting.pop(post.number, None)

    def lose(self, post: Post, why: str) -> None:
        """Note that the sender has heard nothing."""
        self.answers[why] += 1
        post.ended = time.monotonic() + LATE
        self.devices[post.device].waiting.pop(post.number, None)

    # Devices

    def handle(self, device: int, number: int, id_: str) -> bool:
        """Note what a device was sent; tell whether that is new to it."""
        account, now = self.devices[device], time.monotonic()
        if id_ in account.ids:
            self.again += 1
            return False
        account.ids.add(id_)
        post = self.posts[number]
        if post.device != device:
            self._complain(post, f"came to device {device}")
        elif post.handled:
            self._complain(post, f"was handled twice: at {self._at(post.handled)} as {post.id}, and as {id_}")
        else:
            self.handled += 1
            post.handled, post.id = now, id_
            account.waiting.pop(number, None)
            latest = account.latest
            if latest and post.received and post.ended < latest.began:
                self._complain(post, f"came behind {self._described(latest)}")
            if latest is None or latest.began < post.began:
                account.latest = post
        return True

    # The end

    def missing(self) -> list[Post]:
        """Return what was received and has not come, though nothing took its place."""
        return [
            post
            for account in self.devices
            for post in account.waiting.values()
            if post.received and not post.mortal and not self._is_replaced(account, post)
        ]

    def judge(self) -> None:
        """Complain of what is missing."""
        for post in self.missing():
            self._complain(post, "never came")

    def _is_replaced(self, account: DeviceAccount, post: Post) -> bool:
        """Tell whether another request may have taken its place, or deleted it: one that had not ended when it began."""
        others = (other for slot in post.slots for other in account.slots[slot] if other is not post)
        return any(other.ended > post.began for other in others)

    def place(self, device: int, text: str) -> None:
        """Note where a device is now."""
        self.devices[device].places.append((time.monotonic(), text))

    def _complain(self, post: Post, what: str) -> None:
        self._complained.add(post.device)
        now = time.monotonic()
        places = self._lines(self.devices[post.device].places)
        self.violations.append(
            f"{self._described(post)} {what}; now {self._at(now)}; device {post.device}: {places};"
            f" troubles: {self._lines([each for each in self.troubles if each[0] < now][-8:])}"
        )

    def _described(self, post: Post) -> str:
        what = " ".join(post.slots) or "raw"
        times = [f"sent at {self._at(post.began)} to {post.node}"]
        times += (
            [f"{'received' if post.received else 'answered'} at {self._at(post.ended)}"]
            if post.ended < math.inf
            else []
        )
        times += [f"handled at {self._at(post.handled)}"] if post.handled else []
        return f"{post.number} ({what}, {', '.join(times)})"

    def _lines(self, moments: Iterable[tuple[float, str]]) -> str:
        return ", ".join(f"{self._at(at)} {text}" for at, text in moments)

    def told(self) -> str:
        """Return what was done, and when, a line each."""
        return "".join(f"{self._at(at)} {text}\n" for at, text in self.troubles)

    def stories(self) -> dict[int, str]:
        """Return what was sent to each device of which there is a complaint, a line each."""
        return {
            device: "".join(f"{self._described(post)}\n" for post in self.posts if post.device == device)
            for device in sorted(self._complained)
        }

    def complain(self, what: str) -> None:
        """Note what must not be."""
        self.violations.append(f"{self._at(time.monotonic())}: {what}")

    def trouble(self, text: str) -> None:
        """Note what is done now."""
        self.troubles.append((time.monotonic(), text))

    def _at(self, moment: float) -> str:
        return f"{moment - self.began:.2f} s"
