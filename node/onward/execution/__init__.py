"""The only caller of contracts: blocks become verdicts, writes, leaves and roots."""
