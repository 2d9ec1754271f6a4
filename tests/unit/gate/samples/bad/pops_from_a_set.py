"""Takes a waiting party out of a set."""

TYPES = ("queue.take",)


def apply(ctx, call):
    waiting = frozenset(("alice", "bob", "carol")).union({ctx.caller})
    following = set(waiting).pop()
    ctx.put("next", following.encode())
    ctx.emit("queue.take", {"next": following}, (ctx.caller,))
