"""The calls of an async function, which are awaited: with a record or a batch."""

from __future__ import annotations

from typing import Any

from .calls import InFlight, PerBatch, PerRecord
from .record import Record


class AwaitedPerRecord(PerRecord):
    """A call of an async function with the value of a record."""

    async def __call__(self, record: Record) -> Any:
        return await self.function(record.value)


class AwaitedPerBatch(PerBatch):
    """A call of an async function with a list of the values of several records."""

    async def __call__(self, batch: list[Record]) -> list[Any]:  # type: ignore[override]
        return self.checked(batch, await self.function([record.value for record in batch]))


class AwaitedInFlight(InFlight):
    """The calls that are being awaited now."""

    async def __call__(self, item: Any) -> Any:
        me = object()
        self._calls.add(me)  # see InFlight
        try:
            self._refuse_if_stopping()
            return await self._call(item)
        finally:
            self._calls.discard(me)
