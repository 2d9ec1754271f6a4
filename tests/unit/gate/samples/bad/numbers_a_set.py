"""Numbers the members of a set in the set's own order."""

TYPES = ("member.number",)


def apply(ctx, call):
    members = {"alice", "bob", "carol", ctx.caller}
    for number, name in enumerate(members):
        ctx.put(f"member/{name}", str(number).encode())
    ctx.emit("member.number", {"members": len(members)}, (ctx.caller,))
