"""A dictionary keeps the order in which it was filled, everywhere."""

TYPES = ("order.keep",)


def apply(ctx, call):
    tally: dict[str, int] = {}
    for letter in call.payload.hex():
        tally[letter] = tally.get(letter, 0) + 1
    for place, (letter, count) in enumerate(tally.items()):
        ctx.put(f"letter/{place:04d}", f"{letter}{count}".encode())
    ctx.emit("order.keep", {"letters": len(tally)}, (ctx.caller,))
