"""The machine: sensors of power, presence and network, and the policy of its administrator.

:func:`tocsin.embedded` takes any ``sensors`` that keep the promise :class:`Sensor`, and tell :class:`HostFacts`.
"""

from tocsin.host.promises import Sensor
from tocsin.protocol.platform.host_facts import HostFacts

__all__ = ["HostFacts", "Sensor"]
