"""What the world has found and is not mended yet: where one of these may have struck, it does not judge.

Each is reported with its script. When they are mended, ``FORGIVING`` becomes false, and this file can go.

- An actor that begins anew leaves work behind that nobody watches, and frames of before that confuse its peers:
  work runs on beyond its time, a payload dies unseen or stays parked, or all of them go in circles.
- A supervisor keeps the deadlines of what a router that began anew has taken back, and fails of them.
- A requester that begins anew counts its requests from 1 again, so a late answer gives a channel to another app.
- What a channel request that failed in the store has changed there, the router and the apps do not hear of.
- A registration that is agreed to after the app gave up asking has no handler: its payloads go in circles.
- Payloads that were held in the batch in which their gate opens stay held until a gate changes again.
- A request that waits when the wall clock is set back waits longer after a restart.
"""

from __future__ import annotations

FORGIVING = True

AFTER_A_FAILURE = frozenset(
    {
        "work_ends_in_time",
        "what_dies_of_its_handling_was_seen",
        "background_work_begins_in_time",
        "waits_end_in_time",
        "retries_follow_the_schedule",
        "channels_are_held_by_whom_they_were_granted_to",
        "actors_fail_only_when_made_to",
        "comes_to_rest",
    }
)
"""The invariants that may not hold once an actor has begun anew, or an app has given up asking, in this life."""
