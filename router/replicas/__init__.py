"""The runtimes behind this router: which there are, how each of them is, and which one gets the next request."""
