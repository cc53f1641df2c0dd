"""Sees the effects of an agent's calls, and that none comes that may not come after those before it."""

from __future__ import annotations

from collections import Counter

from attrs import Factory, define

from tocsin.protocol.calling import call_effects as e
from tocsin.protocol.calling.call_state import CallState
from tocsin.protocol.messages.calling import AcceptCall

USER = "8:acs:x_bob"


@define
class Witness:
    """What was told of each call so far."""

    rung: set[str] = Factory(set)
    silenced: set[str] = Factory(set)
    begun: set[str] = Factory(set)
    ended: set[str] = Factory(set)
    states: dict[str, CallState] = Factory(dict)
    participants: dict[str, e.Participant] = Factory(dict)
    muted: dict[str, bool] = Factory(dict)
    accepted: Counter[str] = Factory(Counter)
    """How often the user has accepted each, and how often a connection was made since."""

    def saw(self, effects: e.CallEffects) -> None:
        """See effects in their order."""
        for effect in effects:
            if isinstance(effect, e.Ask):
                self._asked(effect.message)
            elif isinstance(effect, e.Ring | e.Silence | e.CallerInfoChanged | e.NotRung):
                self._rang(effect)
            elif isinstance(effect, e.IncomingEnded | e.UnrungEnded | e.CallDisconnected):
                self._ended(effect)
            else:
                self._went_on(effect)

    def _asked(self, message: e.Asked) -> None:
        if isinstance(message, AcceptCall):
            assert self.accepted[message.call] > 0, "accepted without a reason"
            self.accepted[message.call] -= 1

    def _rang(self, effect: e.Ring | e.Silence | e.CallerInfoChanged | e.NotRung) -> None:
        assert effect.call not in self.ended
        assert effect.call not in self.begun
        if isinstance(effect, e.Ring):
            assert effect.call not in self.rung
            self.rung.add(effect.call)
        elif isinstance(effect, e.Silence):
            assert effect.call in self.rung - self.silenced
            self.silenced.add(effect.call)
        else:
            assert (effect.call in self.rung) == isinstance(effect, e.CallerInfoChanged)

    def _ended(self, effect: e.IncomingEnded | e.UnrungEnded | e.CallDisconnected) -> None:
        assert effect.call not in self.ended
        self.ended.add(effect.call)
        assert (effect.call in self.begun) == isinstance(effect, e.CallDisconnected)
        if isinstance(effect, e.IncomingEnded):
            assert effect.call in self.silenced
        elif isinstance(effect, e.UnrungEnded):
            assert effect.call not in self.rung

    def _went_on(self, effect: e.CallBegan | e.CallStateChanged | e.ParticipantChanged | e.MutedChanged) -> None:
        call = effect.call
        assert call not in self.ended
        if isinstance(effect, e.CallBegan):
            assert call not in self.begun
            assert (call in self.silenced) == effect.incoming
            self.begun.add(call)
            self.states[call], self.participants[call], self.muted[call] = (
                effect.state,
                effect.participant,
                effect.muted,
            )
            return
        assert call in self.begun
        if isinstance(effect, e.CallStateChanged):
            assert effect.state is not self.states[call]
            assert effect.state is not CallState.DISCONNECTED
            self.states[call] = effect.state
        elif isinstance(effect, e.ParticipantChanged):
            assert effect.participant != self.participants[call]
            self.participants[call] = effect.participant
        else:
            assert effect.muted != self.muted[call]
            self.muted[call] = effect.muted
