"""Seconds as they go over the wire."""

from google.protobuf.duration_pb2 import Duration


def to_duration(seconds: float) -> Duration:
    """`seconds` to the nanosecond."""
    duration = Duration()
    duration.FromNanoseconds(round(seconds * 1e9))
    return duration


def to_seconds(duration: Duration) -> float:
    """The whole of `duration`."""
    return float(duration.ToNanoseconds() / 1e9)
