"""Bytes in a stated order; hexadecimal digits are ASCII in every case."""
import struct

TYPES = ("point.keep",)


def apply(ctx, call):
    packed = struct.pack(">QI", ctx.time_ms, len(call.payload))
    ctx.put("point", packed + call.payload.hex().upper().encode())
    ctx.emit("point.keep", {"bytes": len(packed)}, (ctx.caller,))
