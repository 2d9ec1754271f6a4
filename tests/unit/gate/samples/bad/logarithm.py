"""Weighs votes by their logarithm: the last bit is the C library's."""
import math

TYPES = ("vote.weigh",)


def apply(ctx, call):
    votes = 1 + sum(call.payload)
    ctx.put("weight", str(math.log(votes)).encode())
    ctx.emit("vote.weigh", {"votes": votes}, (ctx.caller,))
