"""Whether the service is well, whether it is to be sent anything, and what it has counted: ``/healthz``, ``/readyz``, ``/metrics``.

Any client may ask the first two, as load balancers do. The details are for this machine, or for who has the token.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Any

from attrs import frozen
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from tocsin.service.operations.metrics import Counters, Metrics
from tocsin.service.operations.visitors import is_from_here

_CONTENT_TYPE = "text/plain; version=1.0.0; charset=utf-8"


@frozen
class Report:
    """How the service is: ``causes`` says in words, by a name each, why it is not well."""

    causes: dict[str, str]
    counters: dict[str, int]
    gauges: dict[str, int]

    def fields(self, *, details: bool) -> dict[str, Any]:
        """Return what is printed; without details only the causes' names."""
        figures = {"counters": self.counters, "now": self.gauges} if details else {}
        return _status(self.causes, details=details) | figures


def _status(causes: dict[str, str], *, details: bool) -> dict[str, Any]:
    """Return what is printed of causes; without details only their names."""
    return {"status": "unavailable" if causes else "ok", "causes": causes if details else sorted(causes)}


def _answer(fields: dict[str, Any]) -> Response:
    return JSONResponse(fields, 503 if fields["causes"] else 200, {"Cache-Control": "no-store"})


class Health:
    """Reports whether the service is well, and what it has counted, to programs and over HTTP.

    :param fault: why the store cannot be written, or None.
    :param gauges: what there is now, by name.
    :param token: what opens the details to others than this machine, and then to this one too.
    :param is_proxy: tells whether an address is that of a proxy, behind which all others are.
    """

    def __init__(
        self,
        counters: Counters,
        fault: Callable[[], str | None],
        gauges: Callable[[], dict[str, int]],
        token: str,
        is_proxy: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self.stopping = False
        """Whether the service is about to stop."""
        self.unready: dict[str, Callable[[], str | None]] = {}
        """What else keeps it from being ready, by name: each says why in a sentence, or gives None while it does not."""
        self._counters = counters
        self._fault = fault
        self._gauges = gauges
        self._token = token.encode()
        self._is_proxy = is_proxy
        self._metrics = Metrics(counters, gauges)

    def report(self) -> Report:
        """Report how the service is now."""
        return Report(self._causes(), self._counters.summary(), self._gauges())

    def readiness(self) -> dict[str, str]:
        """Return why the service is to be sent nothing, by the causes' names: it is not well, or not ready."""
        other = {name: words for name, say in self.unready.items() if (words := say()) is not None}
        return self._causes() | other

    def _causes(self) -> dict[str, str]:
        fault = self._fault()
        causes = {} if fault is None else {"store": fault}
        return causes | ({"stopping": "the service is stopping"} if self.stopping else {})

    def routes(self) -> list[Route]:
        """Return the routes of all three."""
        return [
            Route("/healthz", self._answer_health),
            Route("/readyz", self._answer_readiness),
            Route("/metrics", self._answer_metrics),
        ]

    async def _answer_health(self, request: Request) -> Response:
        return _answer(self.report().fields(details=self._may(request)))

    async def _answer_readiness(self, request: Request) -> Response:
        return _answer(_status(self.readiness(), details=self._may(request)))

    async def _answer_metrics(self, request: Request) -> Response:
        if not self._may(request):
            text = "Metrics are for this machine, or for requests with the metrics token\n"
            return PlainTextResponse(text, 401 if self._token else 403)
        return Response(self._metrics.render(), media_type=_CONTENT_TYPE)

    def _may(self, request: Request) -> bool:
        """Tell whether a request may see the details: with the token if there is one, else from this machine."""
        if self._token:
            given = request.headers.get("authorization", "").encode("latin-1", "replace")
            return hmac.compare_digest(given, b"Bearer " + self._token)
        return is_from_here(request, self._is_proxy)
