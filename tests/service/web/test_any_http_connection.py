"""Whatever a peer, those who answer and the server do to a connection that speaks HTTP: no event is illegal, and each end is its own."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import example, given
from hypothesis import strategies as st

from tests.service.web.played_connection import PlayedConnection
from tests.service.web.test_http_connection import HANDSHAKE, RIGHT, WRONG, post
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.web.bounded_websocket import BoundedWebSocket

EXPECTING = post(lines=b"Expect: 100-continue\r\nConnection: close\r\n", when=b"head")
"""A request that is refused before its body has come, which is there all the same."""
BROKEN_OFF = b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\npart"
"""An answer that never ends."""


class Life:
    """A connection, what is done to it, and whether that may be done yet."""

    def __init__(self, is_secure: bool) -> None:
        self.played = PlayedConnection(ServiceSettings(write_timeout=10), is_secure=is_secure)
        self._is_half_closed = False

    @property
    def is_over(self) -> bool:
        """Whether it is an HTTP connection no more."""
        return isinstance(self.played.transport.protocol, BoundedWebSocket)

    def hear(self, data: bytes) -> None:
        """Read what the peer has sent, unless the transport would not."""
        done = [each for each in self.played.transport.done if each in {"pause", "resume"}]
        if done[-1:] != ["pause"] and not self._is_half_closed and not self.played.transport.is_closing():
            self.played.hear(data)

    def half_close(self) -> None:
        """Let the peer end its direction."""
        if not self._is_half_closed and not self.played.transport.is_closing():
            self._is_half_closed = True
            self.played.half_close()

    def answer(self) -> None:
        """Answer what has waited for longest, if anything waits."""
        for exchange in self.played.exchanges:
            if exchange.request is self.played.connection._request:
                exchange.answer()
                return

    def break_off(self) -> None:
        """Begin that answer, and end the connection."""
        request = self.played.connection._request
        if request is not None:
            self.played.connection.write(request, BROKEN_OFF)
            request.keep_alive = False
            self.played.connection.answer(request, b"")

    def accept_no_more(self) -> None:
        """Let the server be about to leave."""
        self.played.shared.keeps_none = True

    def leave(self) -> None:
        """Let the server leave."""
        self.played.shared.keeps_none = True
        self.played.connection.shutdown()

    def stall(self) -> None:
        """Let the peer not read."""
        self.played.connection.pause_writing()

    def flow(self) -> None:
        """Let the peer read again."""
        self.played.connection.resume_writing()

    def vanish(self) -> None:
        """Let the peer have gone, which is not known yet."""
        self.played.transport.is_broken = True

    def give_way(self) -> None:
        """Let the next connection take its place, if that would be the one to give way."""
        if self.played.connection in self.played.book._silent:
            self.played.connection.give_way()

    def pass_time(self) -> None:
        """Let all times be over."""
        self.played.clock.time += 100
        self.played.book.sweep()


Act = Callable[[Life], None]


def heard(*parts: bytes) -> Act:
    """Read these parts in one read."""
    return lambda life: life.hear(b"".join(parts)[:60_000])


PARTS = (
    RIGHT | WRONG | st.sampled_from([HANDSHAKE, EXPECTING, post(when=b"later"), post(when=b"head")[:-2], bytes(50_000)])
)
READS = st.lists(PARTS, min_size=1, max_size=5).map(lambda parts: heard(*parts))
ACTS = READS | st.sampled_from(
    [
        Life.answer,
        Life.break_off,
        Life.half_close,
        Life.accept_no_more,
        Life.leave,
        Life.stall,
        Life.flow,
        Life.vanish,
        Life.give_way,
        Life.pass_time,
    ]
)


@given(acts=st.lists(ACTS, max_size=12), is_secure=st.booleans())
@example(acts=[heard(EXPECTING, HANDSHAKE)], is_secure=False)
@example(acts=[heard(post(when=b"later"), b"nonsense\r\n\r\n"), Life.break_off], is_secure=False)
@example(acts=[Life.vanish, heard(post(), HANDSHAKE)], is_secure=False)
async def test_any_life_ends_as_it_should(acts: list[Act], is_secure: bool) -> None:
    """Nothing is said too late or within an answer, nothing closed twice, nothing kept."""
    life = Life(is_secure)
    played = life.played
    for act in acts:
        act(life)
        if life.is_over:
            break
    assert "late" not in played.transport.done
    assert played.transport.said.partition(BROKEN_OFF)[2] == b""
    successor = played.transport.protocol
    (successor if isinstance(successor, BoundedWebSocket) else played.connection).connection_lost(None)
    assert (played.shared.busy, played.book.count) == (0, 0)
