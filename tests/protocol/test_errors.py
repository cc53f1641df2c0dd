"""Errors: who is to blame, as a Python kind and as a result code."""

from __future__ import annotations

import copy
import inspect
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import hresults
from tocsin.protocol import errors
from tocsin.protocol.errors import PushError
from tocsin.protocol.hresult import HResult
from tocsin.protocol.text import MAX_DETAIL, harmless

TREE: dict[str, tuple[type[PushError], type[Exception], HResult]] = {
    "PushError": (PushError, Exception, HResult.E_FAIL),
    "InvalidArgument": (PushError, ValueError, HResult.E_INVALIDARG),
    "UnreadableContent": (errors.InvalidArgument, ValueError, HResult.E_INVALIDARG),
    "IllegalCall": (PushError, RuntimeError, HResult.E_ILLEGAL_METHOD_CALL),
    "ChannelClosed": (errors.IllegalCall, RuntimeError, HResult.WPN_E_CHANNEL_CLOSED),
    "CallEnded": (errors.IllegalCall, RuntimeError, HResult.E_ILLEGAL_METHOD_CALL),
    "NotEntered": (errors.IllegalCall, AttributeError, HResult.E_ILLEGAL_METHOD_CALL),
    "NotFound": (PushError, LookupError, HResult.ERROR_NOT_FOUND),
    "NotSupported": (PushError, NotImplementedError, HResult.ERROR_NOT_SUPPORTED),
    "Busy": (PushError, BlockingIOError, HResult.WNP_E_BIND_USER_BUSY),
    "ChannelNotGranted": (PushError, RuntimeError, HResult.E_FAIL),
    "NotShown": (PushError, RuntimeError, HResult.E_FAIL),
    "OperationCanceled": (PushError, RuntimeError, HResult.ERROR_CANCELLED),
    "TimedOut": (PushError, TimeoutError, HResult.ERROR_TIMEOUT),
    "PlatformUnavailable": (PushError, RuntimeError, HResult.WPN_E_PLATFORM_UNAVAILABLE),
    "StateUnavailable": (errors.PlatformUnavailable, RuntimeError, HResult.WPN_E_PLATFORM_UNAVAILABLE),
    "SendFailed": (PushError, RuntimeError, HResult.E_FAIL),
    "ChannelGone": (errors.SendFailed, LookupError, HResult.WPN_E_CHANNEL_CLOSED),
    "NotificationRefused": (errors.SendFailed, ValueError, HResult.E_INVALIDARG),
    "SenderNotAllowed": (errors.SendFailed, PermissionError, HResult.E_ACCESSDENIED),
    "ServiceUnavailable": (errors.SendFailed, ConnectionError, HResult.RPC_S_SERVER_UNAVAILABLE),
    "Throttled": (errors.SendFailed, RuntimeError, HResult.WNP_E_BIND_USER_BUSY),
    "ProtocolViolation": (PushError, ValueError, HResult.E_UNEXPECTED),
    "FrameError": (errors.ProtocolViolation, ValueError, HResult.E_UNEXPECTED),
}
"""For each error: the one it is a case of, what Python calls it, and its result code."""

each_error = pytest.mark.parametrize("name", TREE)


def error_class(name: str) -> type[PushError]:
    """Find an error by its name."""
    cls: type[PushError] = getattr(errors, name)
    return cls


class TestTree:
    """What is a case of what."""

    def test_the_table_knows_every_error(self) -> None:
        """No error is without a kind that its user would catch."""
        classes = {name for name, cls in vars(errors).items() if inspect.isclass(cls) and issubclass(cls, PushError)}
        assert classes == set(TREE)

    def test_the_docstring_shows_every_error(self) -> None:
        """The tree on top of the file is whole, and says of each which Python kind it is."""
        documented = errors.__doc__ or ""
        for name, (parent, kind, _) in TREE.items():
            line = next(line for line in documented.splitlines() if name in line.replace("─", " ").split())
            if parent is PushError and kind is not Exception:
                assert f"{kind.__name__}: " in line

    @each_error
    def test_an_error_is_caught_as_its_python_kind_and_as_its_parent(self, name: str) -> None:
        """``except`` catches it by its Python class, by the broader error, and by PushError."""
        parent, kind, _ = TREE[name]
        assert issubclass(error_class(name), (PushError,))
        assert issubclass(error_class(name), parent)
        assert issubclass(error_class(name), kind)

    @each_error
    def test_an_error_is_no_other_case(self, name: str) -> None:
        """Siblings do not catch each other."""
        lineage = {name, TREE[name][0].__name__, "PushError"}
        assert {other for other in TREE if issubclass(error_class(name), error_class(other))} == lineage


class TestResultCode:
    """What Windows would report."""

    @each_error
    def test_an_error_has_the_code_of_its_class(self, name: str) -> None:
        """Who raises it need not know the code."""
        assert error_class(name)("it failed").hresult == TREE[name][2]

    @given(st.sampled_from(list(TREE)), st.text(), hresults())
    def test_a_second_argument_is_the_code(self, name: str, text: str, hresult: int) -> None:
        """It is neither lost nor taken for an errno, and the text stays the sentence that it was."""
        error = error_class(name)(text, hresult)
        assert error.hresult == hresult
        assert str(error) == harmless(text, MAX_DETAIL)
        assert error.args == (str(error),)
        assert getattr(error, "errno", None) is None

    @each_error
    def test_success_can_be_said_on_purpose(self, name: str) -> None:
        """The code 0 is a code, not a missing one."""
        assert error_class(name)("odd", 0).hresult == 0

    @each_error
    def test_it_can_be_made_empty(self, name: str) -> None:
        """What rebuilds errors without a call of theirs (unpicklers that keep tracebacks do) can, and can fill them."""
        kind = error_class(name)
        error = kind.__new__(kind)
        error.__init__("it failed", 0x803E0999)  # type: ignore[misc]  # as those do
        assert (error.args, str(error), error.hresult) == (("it failed",), "it failed", 0x803E0999)

    @each_error
    def test_a_copy_keeps_its_code(self, name: str) -> None:
        """Copying and pickling lose neither the sentence nor the code."""
        error = error_class(name)("it failed", 0x803E0999)
        for same in (copy.copy(error), pickle.loads(pickle.dumps(error))):  # noqa: S301  # our own bytes
            assert (type(same), str(same), same.hresult) == (type(error), "it failed", 0x803E0999)
