"""Writes a set of tags as one text."""

TYPES = ("tag.write",)


def apply(ctx, call):
    tags = set(call.payload.hex()) | {"new", ctx.caller}
    ctx.put("tags", ",".join(tags).encode())
    ctx.emit("tag.write", {"tags": len(tags)}, (ctx.caller,))
