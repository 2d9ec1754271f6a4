"""Measures itself and charges for it."""
from time import perf_counter_ns as effort

TYPES = ("work.charge",)


def apply(ctx, call):
    began = effort()
    total = sum(call.payload)
    ctx.put(f"fee/{ctx.caller}", str(effort() - began + total).encode())
    ctx.emit("work.charge", {"total": total}, (ctx.caller,))
