"""The node's own namespace `sys/`: parties, their keys, and which contract version applies."""
