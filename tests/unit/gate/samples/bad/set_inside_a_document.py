"""A set deep inside a document is written in its own order."""
import json

TYPES = ("group.write",)


def apply(ctx, call):
    group = {"members": {"alice", "bob", "carol", "dave"}, "name": ctx.caller}
    ctx.put("group", json.dumps(group, default=list).encode())
    ctx.emit("group.write", {"bytes": len(call.payload)}, (ctx.caller,))
