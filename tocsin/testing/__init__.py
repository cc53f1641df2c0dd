"""For the tests of programs that send pushes: a real push service on this machine, with faults on demand.

With pytest, the fixture ``wns`` gives a :class:`LocalWns`; anywhere else :func:`local_wns` does.
"""

from tocsin.service.operations.settings import ServiceSettings
from tocsin.testing.faults import SentRequest
from tocsin.testing.local import LocalWns, local_wns
from tocsin.testing.manual_clock import Clock
from tocsin.testing.pushes import Push

__all__ = ["Clock", "LocalWns", "Push", "SentRequest", "ServiceSettings", "local_wns"]
