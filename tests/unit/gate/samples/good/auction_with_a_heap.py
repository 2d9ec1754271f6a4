"""A heap whose entries never tie: price, then party."""
import heapq

TYPES = ("bid.make",)


def apply(ctx, call):
    bids = [(len(call.payload), ctx.caller), (7, "alice"), (7, "bob"), (9, "carol")]
    heapq.heapify(bids)
    order = [heapq.heappop(bids) for _ in range(len(bids))]
    ctx.put("order", ";".join(f"{price} {party}" for price, party in order).encode())
    ctx.emit("bid.make", {"bids": len(order)}, (ctx.caller,))
