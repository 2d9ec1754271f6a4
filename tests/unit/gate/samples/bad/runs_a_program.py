"""Lets another program answer."""
import subprocess

TYPES = ("program.run",)


def apply(ctx, call):
    said = subprocess.run(["date", "+%s%N"], capture_output=True, check=True).stdout
    ctx.put("said", said)
    ctx.emit("program.run", {"bytes": len(call.payload)}, (ctx.caller,))
