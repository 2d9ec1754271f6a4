"""Sets are sorted before their order can be seen."""

TYPES = ("member.number",)


def apply(ctx, call):
    members = {"alice", "bob", "carol", ctx.caller}
    for number, name in enumerate(sorted(members)):
        ctx.put(f"member/{name}", f"{number:06d}".encode())
    ctx.emit("member.number", {"members": len(members)}, (ctx.caller,))
