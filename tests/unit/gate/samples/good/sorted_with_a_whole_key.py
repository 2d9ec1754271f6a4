"""A set sorted by length, and by itself where lengths are equal."""

TYPES = ("name.rank",)


def apply(ctx, call):
    names = {"anna", "beth", "cleo", "dora", "eve", ctx.caller}
    ranked = sorted(names, key=lambda name: (len(name), name))
    backwards = sorted({name[::-1] for name in names})
    ctx.put("ranked", " ".join([*ranked, *backwards]).encode())
    ctx.emit("name.rank", {"names": len(names)}, (ctx.caller,))
