"""Keeps the parties that it has seen in a module's dictionary."""

TYPES = ("party.greet",)
_seen = {}


def apply(ctx, call):
    first = ctx.caller not in _seen
    _seen[ctx.caller] = True
    ctx.put(f"greeted/{ctx.caller}", b"first" if first else b"again")
    ctx.emit("party.greet", {"first": first}, (ctx.caller,))
