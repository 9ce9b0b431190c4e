"""JSON logs on stderr, one object a line, with no prompt text in them."""

import logging
import sys

import structlog
from structlog.tracebacks import ExceptionDictTransformer

from services.shared.log_writer import LineWriter


def configure_logs(level: str, *, beside: bool = False) -> None:
    """Log JSON lines from `level` (a name of the standard library's levels) upwards.

    A thread writes them `beside` what goes on, as an event loop needs it.
    """
    writer = LineWriter(sys.stderr) if beside else None
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
        logger_factory=(lambda *_: writer) if writer else structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
