"""Takes its operator from the environment."""
from os import environ

TYPES = ("operator.note",)


def apply(ctx, call):
    ctx.put("operator", environ.get("USER", "nobody").encode())
    ctx.emit("operator.note", {"bytes": len(call.payload)}, (ctx.caller,))
