"""Names orders with uuid4."""
import uuid

TYPES = ("order.place",)


def apply(ctx, call):
    order = str(uuid.uuid4())
    ctx.put(f"order/{order}", call.payload)
    ctx.emit("order.place", {"order": order}, (ctx.caller,))
