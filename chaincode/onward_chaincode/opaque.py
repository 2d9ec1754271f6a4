"""The contract `opaque`, version 1: bytes under a key, for measuring a ledger without a domain.

What others publish about their ledgers is mostly the rate of opaque writes of some hundred bytes.
This contract is that workload and nothing more: whoever puts a value under a key owns the key. No
network has it unless its genesis says so; the benchmark's networks do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from onward_chaincode.answers import Arguments
from onward_chaincode.contract import Call, Context, Event, Json, Reader, Recorded, View
from onward_chaincode.errors import Code, refuse
from onward_chaincode.forms import open_payload
from onward_proto.canonical import raw, text

KEY_BYTES_MAX = 64
VALUE_BYTES_MAX = 16 * 1024
PUT = "opaque.put"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpaquePut:
    """Set a key of the caller's own."""

    key: Annotated[str, text(1, minimum=1, maximum=KEY_BYTES_MAX)]
    value: Annotated[bytes, raw(2, minimum=1, maximum=VALUE_BYTES_MAX)]


class Opaque:
    """The contract. It holds no state of its own."""

    @property
    def name(self) -> str:
        """See `Contract`."""
        return "opaque"

    @property
    def version(self) -> int:
        """See `Contract`."""
        return 1

    @property
    def types(self) -> tuple[str, ...]:
        """See `Contract`."""
        return (PUT,)

    @property
    def queries(self) -> tuple[str, ...]:
        """See `Contract`."""
        return ("value",)

    def apply(self, ctx: Context, call: Call) -> Recorded | None:
        """opaque.put: the value now stands under the caller's key, whatever stood there before."""
        if call.type != PUT:
            raise refuse(Code.TYPE, f"opaque has no transaction type {call.type!r}")
        payload = open_payload(OpaquePut, call.payload)
        if "\0" in payload.key:
            raise refuse(Code.FORMAT, "a key holds no NUL")
        ctx.put(_key(ctx.caller, payload.key), payload.value)
        ctx.emit(PUT, {"bytes": len(payload.value), "key": payload.key}, (ctx.caller,))
        return None

    def query(self, view: View, name: str, arguments: Mapping[str, Any]) -> Json:
        """`value`, of `key`: what stands under a key of the reader's own, in hex; null if none."""
        if name != "value":
            raise refuse(Code.TYPE, f"opaque has no query {name!r}")
        asked = Arguments(arguments)
        key = asked.word("key")
        asked.done()
        value = view.get(_key(view.reader, key))
        return {
            "as_of_ms": view.time_ms,
            "height": view.height,
            "key": key,
            "value": None if value is None else value.hex(),
        }

    def project(self, event: Event, tx_id: str, before: Reader, after: Reader) -> dict[str, bytes]:
        """See `Contract`. There is nothing to look up."""
        del event, tx_id, before, after
        return {}


def _key(party: str, key: str) -> str:
    """Party ids hold no `/`, so nobody reaches into another's keys."""
    return f"value/{party}/{key}"
