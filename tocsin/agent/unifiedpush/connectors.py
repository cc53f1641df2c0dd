"""The connectors of apps, as the distributor calls them over the session bus."""

from __future__ import annotations

import anyio

from tocsin.bus_connection import BUS, BUS_PATH, BusCallRefused, BusConnection, BusLost
from tocsin.bus_service import as_pairs, as_variants
from tocsin.protocol.unifiedpush.connector_call import ConnectorCall, endpoint_call, message_call, unregistered_call
from tocsin.protocol.unifiedpush.connector_registration import AppPresence, ConnectorRegistration
from tocsin.protocol.unifiedpush.delivery import PATIENCE, Delivery, delivery_of_answer, delivery_of_error
from tocsin.protocol.unifiedpush.names import CONNECTOR_PATH


class Connectors:
    """Calls them; the bus starts an app that is not running, where it has a file that says how."""

    def __init__(self, bus: BusConnection) -> None:
        self._bus = bus

    async def deliver(self, registration: ConnectorRegistration, message: bytes, message_id: str) -> Delivery:
        """Carry a push to its app, and tell what has become of it, within ``PATIENCE`` seconds."""
        call = message_call(registration.version, registration.token, message, message_id)
        try:
            with anyio.move_on_after(PATIENCE):
                if registration.version == 1:
                    return await self._deliver_unanswered(registration.service, call)
                answer = await self._bus.call(
                    registration.service,
                    call.interface,
                    CONNECTOR_PATH,
                    call.member,
                    call.signature,
                    as_variants(call.body),
                    PATIENCE,
                )
                return delivery_of_answer(message_id, answer.signature, as_pairs(answer.body))
        except BusCallRefused as refused:
            return delivery_of_error(refused.name)
        except BusLost:
            pass
        return Delivery.KEPT

    async def _deliver_unanswered(self, service: str, call: ConnectorCall) -> Delivery:
        """Start the app where it is not running, send it the push, and see that it is there still: it answers nothing."""
        if not await self._is_owned(service):  # the bus knows no running app by this call that has no file
            await self._bus.call(BUS, BUS, BUS_PATH, "StartServiceByName", "su", [service, 0], PATIENCE)
        await self._tell(service, call)
        return Delivery.ACKNOWLEDGED if await self._is_owned(service) else Delivery.KEPT

    async def tell_endpoint(self, registration: ConnectorRegistration) -> None:
        """Tell an app where senders push to.

        :raises BusLost: there is no bus.
        """
        r = registration
        await self._tell(r.service, endpoint_call(r.version, r.token, r.endpoint))

    async def tell_unregistered(self, registration: ConnectorRegistration, *, confirms: bool) -> None:
        """Tell an app that its registration is no more; ``confirms`` where it has asked for that.

        :raises BusLost: there is no bus.
        """
        r = registration
        await self._tell(r.service, unregistered_call(r.version, r.token, confirms=confirms))

    async def presence(self, service: str) -> AppPresence:
        """Tell whether an app is running, or can be started.

        :raises BusLost: there is no bus.
        :raises BusCallRefused: the bus does not say.
        """
        if await self._is_owned(service):
            return AppPresence.RUNNING
        answer = await self._bus.call(BUS, BUS, BUS_PATH, "ListActivatableNames")
        return AppPresence.STARTABLE if service in answer.body[0] else AppPresence.ABSENT

    async def _is_owned(self, service: str) -> bool:
        answer = await self._bus.call(BUS, BUS, BUS_PATH, "NameHasOwner", "s", [service])
        return bool(answer.body[0])

    async def _tell(self, service: str, call: ConnectorCall) -> None:
        body = as_variants(call.body)
        await self._bus.tell(service, call.interface, CONNECTOR_PATH, call.member, call.signature, body)
