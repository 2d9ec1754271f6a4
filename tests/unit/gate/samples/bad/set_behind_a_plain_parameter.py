"""A function that says nothing of its parameter goes through a set."""

TYPES = ("word.number",)


def numbered(words):
    return [f"{number}:{word}" for number, word in enumerate(words)]


def apply(ctx, call):
    words = numbered({"red", "green", "blue", "white", ctx.caller})
    ctx.put("words", " ".join(words).encode())
    ctx.emit("word.number", {"words": len(words)}, (ctx.caller,))
