"""Recurses until the stack ends, and keeps how far it came."""

TYPES = ("depth.measure",)


def deeper(depth):
    try:
        return deeper(depth + 1)
    except Exception:
        return depth


def apply(ctx, call):
    depth = deeper(0)
    ctx.put("depth", str(depth).encode())
    ctx.emit("depth.measure", {"depth": depth}, (ctx.caller,))
