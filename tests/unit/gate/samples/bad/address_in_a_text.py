"""Writes an object as Python shows it: with its address."""

TYPES = ("ticket.write",)


class Ticket:
    pass


def apply(ctx, call):
    ctx.put(f"ticket/{ctx.caller}", f"{Ticket()}".encode())
    ctx.emit("ticket.write", {"bytes": len(call.payload)}, (ctx.caller,))
