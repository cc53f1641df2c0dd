"""Who takes what: the tables by which messages go from each door to actors, and the order in which those end."""

from __future__ import annotations

from tocsin.protocol import messages as m

HOST_OWNER = "host_owner"
"""The owner of the machine's state and of the user's settings, which is no actor."""

USAGE_METER = "usage_meter"
"""What counts the bytes that apps send and receive, which is no actor either."""

NO_ACTORS = frozenset({HOST_OWNER, USAGE_METER})
"""What takes messages of apps, has no mailbox, and answers them in its own time."""

LAUNCHER = "launcher"
"""What starts the processes of apps that are not running; it is no actor, and only an agent has one."""

SHELL = "shell"
"""What shows toasts, tiles and badges; a platform without one refuses what apps ask of it."""

FROM_SERVICE: dict[type[m.Message], tuple[str, ...]] = {
    m.ChannelGranted: ("channel_requester",),
    m.ChannelRefused: ("channel_requester",),
    m.ChannelsRevoked: ("channel_requester",),
    m.Arrivals: ("payload_router",),
    m.WithdrawToasts: ("payload_router",),
}
"""What the service may send, and who takes it."""

FROM_CONNECTION: dict[type[m.Message], tuple[str, ...]] = {
    m.ConnectionUp: ("channel_requester", "payload_router"),
    m.ConnectionDown: ("channel_requester",),
}
"""What the connection says of itself, and who takes it."""

FROM_APPS: dict[type[m.Message], tuple[str, ...]] = {
    m.CreateChannel: ("channel_requester",),
    m.CancelCreateChannel: ("channel_requester",),
    m.CloseChannel: ("channel_requester",),
    m.RegisterActivator: ("activator_registry",),
    m.UnregisterActivators: ("activator_registry",),
    m.Subscribe: ("supervisor",),
    m.Unsubscribe: ("supervisor",),
    m.Holding: ("supervisor",),
    m.Resumed: ("activator_registry", SHELL),
    m.LeaveSession: ("supervisor", "activator_registry", SHELL),
    m.Handled: ("supervisor",),
    m.Outcomes: ("supervisor",),
    m.CancelWork: ("payload_router",),
    m.ClaimPayload: (LAUNCHER,),
    m.ChangeHost: (HOST_OWNER,),
    m.ChangeAppSettings: (HOST_OWNER,),
    m.ReportUsage: (USAGE_METER,),
    m.AskUsage: (USAGE_METER,),
    m.ShowToast: (SHELL,),
    m.UpdateToast: (SHELL,),
    m.RemoveToasts: (SHELL,),
    m.ListToasts: (SHELL,),
    m.TakeActivations: (SHELL,),
    m.LeaveActivations: (SHELL,),
    m.ActivationDone: (SHELL,),
    m.SetBadge: (SHELL,),
    m.SetTile: (SHELL,),
    m.AskTiles: (SHELL,),
}
"""All that an app may send, over the agent's socket or in process, and who takes it; anything else cuts it off."""

FROM_DOOR: dict[type[m.Message], tuple[str, ...]] = {m.SessionEnded: ("supervisor", "activator_registry", SHELL)}
"""What is said of a session that is gone, and who takes it."""

FROM_HOST_OWNER: dict[type[m.Message], tuple[str, ...]] = {
    m.HostChanged: ("payload_router", "channel_requester", SHELL),
    m.AppSettingsChanged: ("payload_router", "channel_requester", SHELL),
}
"""What the owner of the machine's state says, and who takes it; ``HostReports`` tell the service."""

FROM_OPERATOR: dict[type[m.Message], tuple[str, ...]] = {m.SettleDeadLetter: ("payload_router",)}
"""What the user of the machine asks for, and who takes it."""

PEERS_OF: dict[str, tuple[str, ...]] = {
    "payload_router": ("supervisor",),
    "supervisor": ("payload_router", "activator_registry"),
    "activator_registry": (),
    "channel_requester": (),
    "retry_scheduler": ("channel_requester",),
    SHELL: ("supervisor",),
}
"""Who has to know that an actor began anew; the sessions of apps always do."""


STOP_ORDER = (SHELL, "channel_requester", "retry_scheduler", "supervisor", "activator_registry", "payload_router")
"""In which order the actors end: each behind those that it hears from, but for the shell, whose word can wait."""
