"""Takes the first of what a caller hands over as a set."""

TYPES = ("first.take",)


def first(names: set[str]) -> str:
    return next(iter(names))


def apply(ctx, call):
    ctx.put("first", first({"alice", "bob", "carol", "dave"}).encode())
    ctx.emit("first.take", {"bytes": len(call.payload)}, (ctx.caller,))
