"""For the tests of programs that send pushes, and of those that receive them.

For senders: a real push service on this machine, with faults on demand. With pytest, the fixture ``wns`` gives a
:class:`LocalWns`; anywhere else :func:`local_wns` does. For handlers: :func:`received`, :func:`clicked` and :func:`channel` make what a
handler is called with, without a platform.

A name is loaded when it is first used: the tests of handlers need no service to be installed.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tocsin.protocol.errors import NotSupported

if TYPE_CHECKING:
    from tocsin.service.operations.settings import ServiceSettings
    from tocsin.testing.faults import SentRequest
    from tocsin.testing.local import LocalWns, local_wns
    from tocsin.testing.made import MadeArgs, MadeChannel, channel, clicked, received
    from tocsin.testing.manual_clock import Clock
    from tocsin.testing.played_host import PlayedCondition, PlayedHost, PlayedSensor
    from tocsin.testing.pushes import Push

__all__ = [
    "Clock",
    "LocalWns",
    "MadeArgs",
    "MadeChannel",
    "PlayedCondition",
    "PlayedHost",
    "PlayedSensor",
    "Push",
    "SentRequest",
    "ServiceSettings",
    "channel",
    "clicked",
    "local_wns",
    "received",
]

_HOME_OF = {
    "Clock": "tocsin.testing.manual_clock",
    "LocalWns": "tocsin.testing.local",
    "MadeArgs": "tocsin.testing.made",
    "MadeChannel": "tocsin.testing.made",
    "PlayedCondition": "tocsin.testing.played_host",
    "PlayedHost": "tocsin.testing.played_host",
    "PlayedSensor": "tocsin.testing.played_host",
    "Push": "tocsin.testing.pushes",
    "SentRequest": "tocsin.testing.faults",
    "ServiceSettings": "tocsin.service.operations.settings",
    "channel": "tocsin.testing.made",
    "clicked": "tocsin.testing.made",
    "local_wns": "tocsin.testing.local",
    "received": "tocsin.testing.made",
}


def __getattr__(name: str) -> Any:
    """Load a name from the module that it is defined in (PEP 562).

    :raises NotSupported: that needs a package that is not installed; the text says which.
    """
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = import_module(_HOME_OF[name])
    except ModuleNotFoundError as missing:
        raise NotSupported(
            f"tocsin.testing.{name} needs the package {missing.name}: pip install 'tocsin[service]'"
        ) from missing
    value = globals()[name] = getattr(module, name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
