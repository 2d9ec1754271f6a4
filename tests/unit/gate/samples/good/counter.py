"""Counts in state: read, add one, write."""

TYPES = ("counter.add",)


def apply(ctx, call):
    count = int(ctx.get(f"count/{ctx.caller}") or b"0") + 1
    ctx.put(f"count/{ctx.caller}", b"%d" % count)
    ctx.emit("counter.add", {"count": count}, (ctx.caller,))
