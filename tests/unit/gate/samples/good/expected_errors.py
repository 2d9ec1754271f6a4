"""Errors are caught by name, and refusals are raised."""
from onward_chaincode.contract import Refuse

TYPES = ("number.read",)


def number_in(payload):
    try:
        return int(payload.decode("ascii"))
    except (UnicodeDecodeError, ValueError):
        return len(payload)


def apply(ctx, call):
    number = number_in(call.payload)
    if number > 12:
        raise Refuse("E_TOO_MUCH", f"{number} is more than 12")
    ctx.put("number", b"%d" % number)
    ctx.emit("number.read", {"number": number}, (ctx.caller,))
