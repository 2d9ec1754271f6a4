"""Gives out a token that nobody can guess, not even the other replicas."""
from secrets import token_hex

TYPES = ("token.issue",)


def apply(ctx, call):
    token = token_hex(8)
    ctx.put(f"token/{ctx.caller}", token.encode())
    ctx.emit("token.issue", {"token": token}, (ctx.caller,))
