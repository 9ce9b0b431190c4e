"""JSON logs on stderr, one object a line, with no prompt text in them."""

import logging
import sys

import structlog
from structlog.tracebacks import ExceptionDictTransformer


def configure_logs(level: str) -> None:
    """Log JSON lines from `level` (a name of the standard library's levels) upwards."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            # without the values of variables, which may hold prompts and keys
            structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
