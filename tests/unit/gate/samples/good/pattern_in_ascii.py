"""A pattern that means ASCII and says so."""
import re

TYPES = ("name.claim",)
NAME = re.compile(r"\w[\w-]{0,30}", re.ASCII)


def apply(ctx, call):
    right = NAME.fullmatch(ctx.caller) is not None
    ctx.put(f"name/{ctx.caller}", b"right" if right else b"wrong")
    ctx.emit("name.claim", {"right": right}, (ctx.caller,))
