"""A default argument that is made once and grows."""

TYPES = ("list.grow",)


def noted(party, parties=[]):
    parties.append(party)
    return parties


def apply(ctx, call):
    ctx.put("parties", ",".join(noted(ctx.caller)[-9:]).encode() + b"%d" % len(noted("x")))
    ctx.emit("list.grow", {"bytes": len(call.payload)}, (ctx.caller,))
