"""Writes down on what it runs."""
import platform

TYPES = ("platform.note",)


def apply(ctx, call):
    ctx.put("platform", f"{platform.machine()} {platform.python_version()}".encode())
    ctx.emit("platform.note", {"bytes": len(call.payload)}, (ctx.caller,))
