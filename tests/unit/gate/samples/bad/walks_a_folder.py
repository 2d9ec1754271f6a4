"""Counts files beside it."""
from pathlib import Path

TYPES = ("file.count",)


def apply(ctx, call):
    ctx.put("folder", str(Path.cwd()).encode())
    ctx.put("files", str(len(list(Path().iterdir()))).encode())
    ctx.emit("file.count", {"bytes": len(call.payload)}, (ctx.caller,))
