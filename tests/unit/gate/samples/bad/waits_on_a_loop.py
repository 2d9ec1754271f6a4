"""Gathers coroutines."""

TYPES = ("gather.all",)


async def part(number):
    return number


def apply(ctx, call):
    waiting = part(len(call.payload))
    ctx.put("waiting", str(waiting).encode())
    waiting.close()
    ctx.emit("gather.all", {"bytes": len(call.payload)}, (ctx.caller,))
