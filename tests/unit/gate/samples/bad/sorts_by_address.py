"""Sorts objects by where they lie in memory."""

TYPES = ("bid.sort",)


class Bid:
    def __init__(self, party):
        self.party = party


def apply(ctx, call):
    bids = [Bid("alice"), Bid("bob"), Bid(ctx.caller)]
    order = sorted(bids, key=id)
    ctx.put("order", f"{id(order[0])}".encode())
    ctx.emit("bid.sort", {"bids": len(bids)}, (ctx.caller,))
