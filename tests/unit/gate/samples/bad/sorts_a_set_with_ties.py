"""Sorts by length: names of one length stay in the set's order."""

TYPES = ("name.rank",)


def apply(ctx, call):
    names = {"anna", "beth", "cleo", "dora", "eve"}
    ranked = sorted(names, key=len)
    ctx.put("ranked", " ".join(ranked).encode())
    ctx.emit("name.rank", {"names": len(names)}, (ctx.caller,))
