"""Whole numbers, divided with //."""

TYPES = ("fee.charge",)
BASIS_POINTS = 10_000


def apply(ctx, call):
    amount = int.from_bytes(call.payload[:4], "big")
    fee, rest = divmod(amount * 190, BASIS_POINTS)
    ctx.put(f"fee/{ctx.caller}", str(fee + (rest > 0)).encode())
    ctx.emit("fee.charge", {"amount": amount, "fee": fee}, (ctx.caller,))
