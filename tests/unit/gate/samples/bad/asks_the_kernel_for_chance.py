"""Salts a record with bytes of the kernel."""
import os

TYPES = ("salt.add",)


def apply(ctx, call):
    ctx.put(f"salted/{ctx.caller}", os.urandom(8) + call.payload)
    ctx.emit("salt.add", {"bytes": 8}, (ctx.caller,))
