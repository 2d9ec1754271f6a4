"""Adds what a document calls numbers: floats that nobody wrote down in the source."""
import json

TYPES = ("number.add",)


def apply(ctx, call):
    numbers = json.loads(b"[0.1, 0.2, 0.3]")
    ctx.put("sum", json.dumps(sum(numbers)).encode())
    ctx.emit("number.add", {"bytes": len(call.payload)}, (ctx.caller,))
