"""Refuses with an assert, which is gone under -O."""

TYPES = ("limit.hold",)


def apply(ctx, call):
    assert len(call.payload) <= 8, "too long"
    ctx.put(f"held/{ctx.caller}", call.payload)
    ctx.emit("limit.hold", {"bytes": len(call.payload)}, (ctx.caller,))
