"""Divides a pot among three, and rounds."""

TYPES = ("pot.split",)


def apply(ctx, call):
    pot = int.from_bytes(call.payload[:4], "big")
    ctx.put("share", str(round(pot / 3)).encode())
    ctx.emit("pot.split", {"pot": pot}, (ctx.caller,))
