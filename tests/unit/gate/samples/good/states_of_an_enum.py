"""A small machine whose states are an enumeration."""
from enum import StrEnum, auto

TYPES = ("door.push",)


class Door(StrEnum):
    OPEN = auto()
    SHUT = auto()


_NEXT = {Door.OPEN: Door.SHUT, Door.SHUT: Door.OPEN}


def apply(ctx, call):
    state = Door((ctx.get("door") or b"shut").decode())
    ctx.put("door", _NEXT[state].value.encode())
    ctx.emit("door.push", {"states": [each.value for each in Door]}, (ctx.caller,))
