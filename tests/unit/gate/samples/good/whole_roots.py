"""The functions of math that answer with whole numbers."""
from math import comb, gcd, isqrt

TYPES = ("root.take",)


def apply(ctx, call):
    number = int.from_bytes(call.payload, "big")
    ctx.put("root", str(isqrt(number) + gcd(number, 360) + comb(10, 3) + 2**10).encode())
    ctx.emit("root.take", {"bytes": len(call.payload)}, (ctx.caller,))
