"""Sums, bounds and questions over a set are the same from every order."""

TYPES = ("sum.over",)


def apply(ctx, call):
    sizes = {len(ctx.caller), 3, 5, len(call.payload)}
    total = sum(sizes) + max(sizes) - min(sizes) + sum(size * 2 for size in sizes)
    some = any(size > 4 for size in sizes) and all(size >= 0 for size in sizes)
    ctx.put("total", f"{total} {some}".encode())
    ctx.emit("sum.over", {"total": total}, (ctx.caller,))
