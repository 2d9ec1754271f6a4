"""Charges 1.9 per cent, as a float."""

TYPES = ("fee.charge",)


def apply(ctx, call):
    amount = int.from_bytes(call.payload[:4], "big")
    ctx.put(f"fee/{ctx.caller}", str(amount * 0.019).encode())
    ctx.emit("fee.charge", {"amount": amount}, (ctx.caller,))
