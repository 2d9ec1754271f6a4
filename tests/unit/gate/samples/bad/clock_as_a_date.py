"""Keeps one row for each calendar day, as this machine sees it."""
from datetime import datetime

TYPES = ("day.count",)


def apply(ctx, call):
    today = datetime.now().strftime("%Y-%m-%d")
    ctx.put(f"day/{today}", call.payload)
    ctx.emit("day.count", {"day": today}, (ctx.caller,))
