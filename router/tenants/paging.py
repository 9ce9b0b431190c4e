"""Pages of a list."""

import re
from typing import Any

from services.shared.errors import InvalidArgument, Violation

DEFAULT_PAGE_SIZE = 100
MAX_PAGE_SIZE = 1000
# the number of an entry in a stream
AUDIT_TOKEN = re.compile(r"\d{1,20}-\d{1,20}")


def page_size(request: Any) -> int:
    """Of a request with a `page_size`. Raises InvalidArgument."""
    size: int = request.page_size if request.HasField("page_size") else DEFAULT_PAGE_SIZE
    if not 1 <= size <= MAX_PAGE_SIZE:
        raise InvalidArgument(Violation("page_size", f"{size} is not between 1 and {MAX_PAGE_SIZE}"))
    return size
