"""A contract object that holds constants and a table of handlers, and never changes."""
from dataclasses import dataclass
from typing import Annotated

from onward_proto.canonical import encode, text, uint


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    owner: Annotated[str, text(1, maximum=64)]
    size: Annotated[int, uint(2)]


class Deeds:
    name = "deeds"
    version = 1
    types = ("deed.give", "deed.take")
    queries = ("deed",)

    def __init__(self):
        self.handlers = {"deed.give": self.give, "deed.take": self.take}

    def apply(self, ctx, call):
        self.handlers[call.type](ctx, call.payload)

    def give(self, ctx, payload):
        ctx.put(f"deed/{ctx.caller}", encode(Deed(owner=ctx.caller, size=len(payload))))
        ctx.emit("deed.give", {"size": len(payload)}, (ctx.caller,))

    def take(self, ctx, payload):
        ctx.delete(f"deed/{ctx.caller}")
        ctx.emit("deed.take", {}, (ctx.caller,))

    def query(self, view, name, arguments):
        return {"deed": (view.get(f"deed/{view.reader}") or b"").hex()}

    def project(self, event, tx_id, before, after):
        return {f"history/{tx_id}": event.name.encode()}


CONTRACT = Deeds()
