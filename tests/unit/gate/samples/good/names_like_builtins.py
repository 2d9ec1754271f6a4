"""Parameters and variables may be called id, hash, input or time: they are no builtins."""

TYPES = ("label.set",)


def label(id: str, hash: bytes, *, time: int) -> str:
    input = f"{id}/{time}"
    return f"{input}/{hash.hex()}"


def apply(ctx, call):
    ctx.put(label(ctx.caller, call.payload, time=ctx.time_ms), b"random os open eval")
    ctx.emit("label.set", {"id": ctx.caller}, (ctx.caller,))
