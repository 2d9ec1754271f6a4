"""Turns block time into a date of this machine's time zone."""
import datetime

TYPES = ("invoice.date",)


def apply(ctx, call):
    date = datetime.datetime.fromtimestamp(ctx.time_ms // 1000).isoformat()
    ctx.put(f"invoice/{ctx.caller}", date.encode())
    ctx.emit("invoice.date", {"date": date}, (ctx.caller,))
