"""The contract object itself counts."""


class Turnstile:
    name = "turnstile"
    version = 1
    types = ("gate.pass",)
    queries = ()

    def __init__(self):
        self.count = 0

    def apply(self, ctx, call):
        self.count += 1
        ctx.put("count", str(self.count).encode())
        ctx.emit("gate.pass", {"count": self.count}, (ctx.caller,))

    def query(self, view, name, arguments):
        return {}

    def project(self, event, tx_id, before, after):
        return {}


CONTRACT = Turnstile()
