"""Wire formats: canonical messages, documents, and the generated gRPC stubs under `v1`."""
