"""Names the host that executes it."""
import socket

TYPES = ("host.note",)


def apply(ctx, call):
    ctx.put("host", socket.gethostname().encode())
    ctx.emit("host.note", {"bytes": len(call.payload)}, (ctx.caller,))
