"""The sidecar's gRPC service for adapters: who asks, what is answered, and the connection to their store."""
