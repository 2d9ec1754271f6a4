"""Keys by name without regard to case, as this interpreter's Unicode tables have it."""
import unicodedata

TYPES = ("name.claim",)


def apply(ctx, call):
    name = unicodedata.normalize("NFKC", "Straße ﬁ" + ctx.caller).casefold()
    ctx.put(f"name/{name}", call.payload)
    ctx.emit("name.claim", {"name": name}, (ctx.caller,))
