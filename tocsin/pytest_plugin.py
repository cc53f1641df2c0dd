"""The pytest plugin of Tocsin: the fixture ``wns``, a running push service to test senders against.

It stands outside ``tocsin.testing``, so that a suite which does not use the fixture loads nothing of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tocsin.testing import LocalWns


@pytest.fixture
def wns(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalWns]:
    """Run a push service with an app, a device and a channel for one test; see :class:`tocsin.testing.LocalWns`."""
    from tocsin.protocol.errors import NotSupported  # noqa: PLC0415  # only tests that ask for it pay for it

    try:
        from tocsin.testing import local_wns  # noqa: PLC0415
    except NotSupported as missing:
        raise pytest.UsageError(f"the fixture wns is not to be had: {missing}") from missing
    with local_wns(tmp_path_factory.mktemp("wns")) as local:
        yield local
