"""What a router tells Prometheus."""
