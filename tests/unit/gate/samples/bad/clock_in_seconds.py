"""Stamps a deposit with the machine's clock."""
import time

TYPES = ("deposit.make",)


def apply(ctx, call):
    ctx.put(f"deposit/{ctx.tx_id}", str(int(time.time())).encode())
    ctx.emit("deposit.make", {"bytes": len(call.payload)}, (ctx.caller,))
