"""Goes through state in key order, deletes, and projects rows."""
from itertools import pairwise

TYPES = ("row.add",)
KEEP = 4


def apply(ctx, call):
    ctx.put(f"row/{ctx.time_ms:016d}", call.payload)
    rows = ctx.scan("row/", "row0", 100)
    gaps = [int(b[0][4:]) - int(a[0][4:]) for a, b in pairwise(rows)]
    for key, _ in rows[:-KEEP]:
        ctx.delete(key)
    ctx.emit("row.add", {"gaps": gaps, "rows": len(rows)}, (ctx.caller,))


def project(event, tx_id, before, after):
    kept = after.scan("row/", "row0", 100)
    return {f"kept/{tx_id}": b"%d" % len(kept)}
