"""Resource names on the wire: `models/{model}/adapters/{adapter}`, and versions below it."""

import re

from scorer.adapters.store_values import AdapterId, VersionId
from services.shared.errors import InvalidArgument, Violation

PATTERN = re.compile(r"models/(?P<model>.+)/adapters/(?P<adapter>[^/]+)")


def adapter_name(adapter: AdapterId) -> str:
    """The resource name of an adapter."""
    return f"models/{adapter.model}/adapters/{adapter.name}"


def version_name(version: VersionId) -> str:
    """The resource name of a version."""
    return f"{adapter_name(version.adapter)}/versions/{version.number}"


def parse_adapter(name: str) -> AdapterId:
    """Of a resource name. Raises InvalidArgument."""
    found = PATTERN.fullmatch(name)
    if found is None:
        raise InvalidArgument(Violation("name", f"{name[:200]!r} is not models/{{model}}/adapters/{{adapter}}"))
    try:
        return AdapterId(found["model"], found["adapter"])
    except ValueError as error:
        raise InvalidArgument(Violation("name", str(error))) from error


def parse_version(name: str, number: int) -> VersionId:
    """Of an adapter's resource name and the number. Raises InvalidArgument."""
    if number < 1:
        raise InvalidArgument(Violation("version", f"{number} is not a version; they count from 1"))
    return VersionId(parse_adapter(name), number)
