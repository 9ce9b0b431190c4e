"""The chart, and what keeps its page up to date."""
