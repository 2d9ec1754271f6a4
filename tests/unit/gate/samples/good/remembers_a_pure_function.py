"""What depends on its arguments alone may be remembered."""
import functools

TYPES = ("step.count",)


@functools.lru_cache(maxsize=128)
def steps(number: int) -> int:
    count = 0
    while number > 1:
        number = number // 2 if number % 2 == 0 else 3 * number + 1
        count += 1
    return count


def apply(ctx, call):
    count = steps(1 + sum(call.payload) % 1000)
    ctx.put("steps", b"%d" % count)
    ctx.emit("step.count", {"steps": count}, (ctx.caller,))
