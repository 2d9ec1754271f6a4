"""Documents with sorted keys, and no floats."""
import json

TYPES = ("document.keep",)


def apply(ctx, call):
    document = {"size": len(call.payload), "by": ctx.caller, "bytes": list(call.payload)}
    ctx.put("document", json.dumps(document, sort_keys=True, separators=(",", ":")).encode())
    ctx.emit("document.keep", document, (ctx.caller,))
