"""Sets are asked what they hold; nobody sees their order."""

TYPES = ("vote.cast",)
ALLOWED = frozenset({"admin", "enroller", "registry"})
_FIRST = {"admin"}


def apply(ctx, call):
    granted = ALLOWED - _FIRST
    ok = ctx.caller in granted and {ctx.caller} <= ALLOWED
    count = len(granted & {ctx.caller, "nobody"})
    ctx.put(f"vote/{ctx.caller}", b"yes" if ok else b"no")
    ctx.emit("vote.cast", {"count": count, "ok": ok}, (ctx.caller,))
