"""The conformance list: the cases of the Windows App SDK's tests, and those that its code implies.

The names are those of ``microsoft/WindowsAppSDK``: ``test/PushNotificationTests/APITests.cpp`` of 1.0 preview 3 (A),
``LRPTests.cpp`` (B) and ``BaseTestSuite.cpp`` (C). D has no tests there.
"""

from __future__ import annotations

from attrs import frozen

TOASTS = "apps go by their names, so that none has to be mapped to the name of its toasts"
ANY_TIME = "`unregister_all_activators` may be called at any time, as in the specification"


@frozen
class Case:
    """One case: its number, its name on Windows, the kinds of apps it is for, and what it asserts."""

    number: str
    name: str
    apps: str
    claim: str
    note: str = ""
    """Where the answer is deliberately another than on Windows."""
    not_here: str = ""
    """Why it has no counterpart here."""


@frozen
class Section:
    """The cases of one source."""

    title: str
    text: str
    cases: tuple[Case, ...]


SPEC = Section(
    "A. The API of the specification",
    "The SDK's own tests of the API that Tocsin follows, up to 1.0 preview 3.",
    (
        Case("1", "BackgroundActivation", "P U", "a push runs the registered background work, without an error"),
        Case("2", "MultipleBackgroundActivation", "P U", "two pushes run it twice"),
        Case("3", "ChannelRequestUsingNullRemoteId", "P U", "a request with the null GUID raises E_INVALIDARG"),
        Case("4", "ChannelRequestUsingRemoteId", "P U", "a request ends with CompletedSuccess; close works"),
        Case(
            "5",
            "MultipleChannelClose",
            "U",
            "a second close raises WPN_E_CHANNEL_CLOSED",
            note="for packaged apps too; today's Windows does not raise it",
        ),
        Case(
            "6",
            "MultipleChannelRequestUsingSameRemoteId",
            "P U",
            "of two requests in flight for one remote id, the second succeeds",
            note="they are joined, so both get the same channel",
        ),
        Case(
            "7",
            "MultipleChannelRequestUsingMultipleRemoteId",
            "P U",
            "of two requests in flight for two remote ids, the second succeeds",
        ),
        Case("8", "ActivatorTest", "P U", "unregister all, register, unregister the same flags: no error"),
        Case("9", "RegisterActivatorNullDetails", "P U", "registering no info raises E_INVALIDARG"),
        Case(
            "10",
            "RegisterActivatorNullClsid",
            "P U",
            "a null CLSID raises E_INVALIDARG for a packaged app and is right for an unpackaged one",
        ),
        Case(
            "11",
            "MultipleRegisterActivatorTest",
            "P U",
            "registering again raises E_INVALIDARG",
            note="the first registration stays, where Windows removes its COM class",
        ),
        Case("12", "VerifyComActivatorSupported", "P", "ComActivator is supported"),
        Case("13", "VerifyComActivatorNotSupported", "U", "ComActivator is not supported"),
        Case("14", "VerifyProtocolActivatorSupported", "U", "ProtocolActivator is supported"),
        Case("15", "VerifyProtocolActivatorNotSupported", "P", "ProtocolActivator is not supported"),
        Case(
            "16",
            "VerifyComAndProtocolActivatorNotSupported",
            "P U",
            "asking for ProtocolActivator together with others raises E_INVALIDARG",
        ),
        Case(
            "17",
            "VerifyNullActivatorNotSupported",
            "P",
            "asking for Undefined raises E_INVALIDARG",
            note="registering Undefined raises it too, where Windows does nothing and is silent",
        ),
        Case(
            "18",
            "VerifyProtocolActivation",
            "U",
            "an app that a push has launched finds the kind Push and the payload in its activation",
        ),
    ),
)

LONG_RUNNING = Section(
    "B. The long-running process",
    "The SDK's tests of the process that serves unpackaged apps; here it is the agent.",
    (
        Case("19", "LaunchLRP_FromCoCreateInstance", "U", "it starts when asked for, and ends when idle"),
        Case("20", "LaunchLRP_FromStartupTask", "U", "it starts at log-on, and ends when idle"),
        Case(
            "21",
            "AddToastRegistrationMappingNoSink",
            "U",
            "naming an unknown app's toasts is no error",
            not_here=TOASTS,
        ),
        Case(
            "22",
            "RemoveToastRegistrationMappingNoSink",
            "U",
            "taking back that name for an unknown app is no error",
            not_here=TOASTS,
        ),
        Case(
            "23",
            "AddRemoveToastRegistrationMappingWithSink",
            "U",
            "register an app, name its toasts, take the name back, unregister: no error",
            not_here=TOASTS,
        ),
    ),
)

RELEASED = Section(
    "C. The released API",
    "The SDK's tests since 1.1, whose API has only Register, Unregister and UnregisterAll. Here they are registering the "
    "activators with their work, unregistering them, and unregistering everything. Their variants for a system without "
    "push (silent no-ops, E_FAIL) have no counterpart: `embedded` raises NotSupported and says why.",
    (
        Case("24", "ChannelRequestUsingNullRemoteId", "P U", "a request with the null GUID raises E_INVALIDARG"),
        Case("25", "ChannelRequestUsingRemoteId", "P U", "a request ends with S_OK"),
        Case(
            "26",
            "ChannelRequestCheckExpirationTime",
            "P U",
            "a channel expires after now, and within 30 days and a minute",
        ),
        Case("27", "MultipleChannelClose", "P U", "a second close raises WPN_E_CHANNEL_CLOSED"),
        Case("28", "VerifyRegisterAndUnregister", "P U", "register, unregister: no error"),
        Case("29", "VerifyRegisterAndUnregisterAll", "P U", "register, unregister all: no error"),
        Case(
            "30",
            "VerifyUnregisterFails",
            "P U",
            "unregistering what was never registered raises",
            note="ERROR_NOT_FOUND, as in the specification, not E_UNEXPECTED",
        ),
        Case("31", "VerifyUnregisterAllFails", "P U", "unregistering all of nothing raises", not_here=ANY_TIME),
        Case(
            "32",
            "MultipleRegister",
            "P U",
            "registering twice raises",
            note="E_INVALIDARG, as in the specification, not ERROR_ALREADY_REGISTERED",
        ),
        Case(
            "33",
            "VerifyMultipleRegisterAndUnregister",
            "P",
            "registering again raises while the trigger stays registered",
            note="the first Unregister is unregistering ComActivator alone; the code is E_INVALIDARG",
        ),
        Case("34", "VerifyMultipleRegisterAndUnregisterAll", "P U", "two rounds of register, unregister all: no error"),
        Case(
            "35",
            "VerifyUnregisterTwice",
            "P U",
            "unregistering a second time raises",
            note="ERROR_NOT_FOUND, as in the specification, not E_UNEXPECTED",
        ),
        Case("36", "VerifyUnregisterAllTwice", "P U", "unregistering all a second time raises", not_here=ANY_TIME),
        Case("37", "VerifyUnregisterAndUnregisterAll", "P U", "unregister, then unregister all: no error"),
        Case("38", "VerifyForegroundHandlerSucceeds", "P U", "a handler added before registering gets payloads"),
        Case(
            "39",
            "VerifyForegroundHandlerFails",
            "P U",
            "a handler added after registering raises",
            not_here="handlers may be added at any time; the tests of 38 show that a late one gets payloads",
        ),
    ),
)

DERIVED = Section(
    "D. What the SDK's tests leave out",
    "Derived from the specification and from the SDK's code.",
    (
        Case(
            "D1",
            "six retryable codes",
            "any",
            "each is InProgress, then InProgressRetry with the code and the count, then another attempt",
            note="extended_error is 0 while in progress, where Windows has E_PENDING",
        ),
        Case(
            "D2",
            "six attempts",
            "any",
            "waits of 60, 120, 180, 240 and 300 s, reported before each; the sixth failure is CompletedFailure",
            note="without jitter; the default policy adds a tenth either way",
        ),
        Case("D3", "critical codes", "any", "any other code is CompletedFailure at once: a result, nothing is raised"),
        Case(
            "D4", "cancel during a wait", "any", "the operation ends as cancelled at once, and nothing is asked again"
        ),
        Case(
            "D5",
            "Handled both ways",
            "P U",
            "true ends in the foreground, false goes on to the background",
            note="false by default, as the specification says; on Windows it is true in effect",
        ),
        Case("D6", "dead sink", "P U", "a foreground handler whose process is gone is passed over"),
        Case("D7", "unregister what is missing", "P U", "ERROR_NOT_FOUND; flags that come before it stay unregistered"),
        Case(
            "D8",
            "different CLSID",
            "P",
            "a trigger of an earlier process is E_INVALIDARG with another CLSID, and is reused with its own",
            note="a reused trigger can be unregistered and takes the new conditions, neither of which it does on Windows",
        ),
        Case("D9", "restart", "P U", "registrations and channels of before a restart still work after it"),
        Case("D10", "unregister the last", "U", "the long-running process ends 5 s after the last app"),
        Case(
            "D11",
            "wrong kind of args",
            "P U",
            "`handled` raises E_ILLEGAL_METHOD_CALL in background work",
            note="deferrals and cancellation are real in the foreground too, and raise nothing there",
        ),
        Case(
            "D12",
            "binary and empty payloads",
            "P U",
            "they arrive as they were sent",
            note="on Windows an unpackaged app gets text, and nothing of an empty payload",
        ),
        Case("D13", "activation without args", "P U", "ERROR_TIMEOUT after 2 s"),
    ),
)

SECTIONS = (SPEC, LONG_RUNNING, RELEASED, DERIVED)
