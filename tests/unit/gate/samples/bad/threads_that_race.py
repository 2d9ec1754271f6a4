"""Sums in two threads and keeps the order in which they end."""
import threading

TYPES = ("sum.race",)


def apply(ctx, call):
    order = []
    workers = [threading.Thread(target=order.append, args=(n,)) for n in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    ctx.put("order", str(order).encode() + str(threading.get_native_id()).encode())
    ctx.emit("sum.race", {"workers": len(workers)}, (ctx.caller,))
