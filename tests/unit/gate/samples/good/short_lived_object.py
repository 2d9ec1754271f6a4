"""An object that changes, but lives no longer than the transaction."""

TYPES = ("word.take",)


class Words:
    def __init__(self, text: str) -> None:
        self._left = [text[at : at + 3] for at in range(0, len(text), 3)]
        self.taken = 0

    def take(self) -> str:
        self.taken += 1
        return self._left.pop()


def apply(ctx, call):
    words = Words(call.payload.hex())
    told = [words.take(), words.take()]

    def add(word: str) -> None:
        nonlocal told
        told = [*told, word]

    add(ctx.caller)
    ctx.put("told", "/".join(told).encode())
    ctx.emit("word.take", {"taken": words.taken}, (ctx.caller,))
