"""What is installed."""

from importlib.metadata import PackageNotFoundError, version


def installed_version(package: str) -> str:
    """Empty where it is not."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
