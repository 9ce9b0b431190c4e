"""The configuration in force, and everyone who waits for the next one."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import structlog
from watchfiles import awatch

from scorer.config_file import ConfigError, ConfigFile, ModelConfig, read_config_file

logger = structlog.get_logger()

# an event may be lost between the first read and the watch, or on a network file system
REREAD_MS = 5000


class ConfigSource:
    """Follows one file. A bad edit changes nothing but the log."""

    def __init__(self, path: Path) -> None:
        """Raises ConfigError when the file cannot be used now."""
        self._path = path
        self._content = read_config_file(path)
        # why the file as it is now cannot be used; empty when it can
        self.refused = ""
        self._closed = False
        self._changed = asyncio.Event()

    @property
    def version(self) -> str:
        """Of what is in force for models without a configuration of their own."""
        return self._content.default.version

    def for_model(self, fingerprint: str) -> ModelConfig:
        """What is in force for the model with this fingerprint."""
        return self._content.for_model(fingerprint)

    async def watch(self, fingerprint: str) -> AsyncGenerator[ModelConfig, None]:
        """What is in force for this model now, then whenever that changes, until `close`."""
        sent = None
        while not self._closed:
            changed, config = self._changed, self.for_model(fingerprint)
            if config != sent:
                yield (sent := config)
            await changed.wait()

    async def follow(self) -> None:
        """Read the file whenever its folder changes, until cancelled: a ConfigMap swaps links beside the file."""
        folder = self._path.absolute().parent
        async for _ in awatch(
            folder, watch_filter=None, recursive=False, yield_on_timeout=True, rust_timeout=REREAD_MS
        ):
            self.reread()

    def reread(self) -> None:
        """Use the file's content if it is new and good."""
        try:
            content = read_config_file(self._path)
        except ConfigError as error:
            self._refuse(str(error))
            return
        self.refused = ""
        if content != self._content:
            self._use(content)

    def close(self) -> None:
        """End every watch."""
        self._closed = True
        self._wake()

    def _refuse(self, reason: str) -> None:
        if reason != self.refused:
            logger.error("configuration refused, the last good one stays in force", reason=reason)
        self.refused = reason

    def _use(self, content: ConfigFile) -> None:
        self._content = content
        logger.info("configuration changed", default_version=content.default.version, models=sorted(content.models))
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
