"""The machine: sensors of power, presence and network, and the policy of its administrator.

:func:`tocsin.embedded` takes any ``sensors`` that keep the promise :class:`Sensor`, and tell :class:`HostFacts`,
and a ``policy`` that keeps the promise :class:`PolicySource`, such as that of ``tocsin.testing.PlayedHost``.
"""

from tocsin.host.promises import PolicySource, Sensor
from tocsin.protocol.platform.host_facts import HostFacts

__all__ = ["HostFacts", "PolicySource", "Sensor"]
