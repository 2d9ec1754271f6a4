"""Numbers transactions in a global: a node that restarts begins anew."""

TYPES = ("number.next",)
_number = 0


def apply(ctx, call):
    global _number
    _number += 1
    ctx.put(f"number/{_number}", call.payload)
    ctx.emit("number.next", {"number": _number}, (ctx.caller,))
