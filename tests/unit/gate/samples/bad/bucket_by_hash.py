"""Spreads parties over buckets with hash()."""

TYPES = ("bucket.fill",)


def apply(ctx, call):
    bucket = hash(ctx.caller) % 64
    ctx.put(f"bucket/{bucket}", ctx.caller.encode())
    ctx.emit("bucket.fill", {"bucket": bucket}, (ctx.caller,))
