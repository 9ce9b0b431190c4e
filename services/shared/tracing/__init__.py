"""Spans of a process, off unless OpenTelemetry's own variables name a collector."""
