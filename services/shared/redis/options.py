"""Which Redis, and how patiently: one server, Sentinel or Cluster, named by a URL."""

from dataclasses import dataclass, replace
from typing import Self
from urllib.parse import parse_qs, unquote, urlsplit

SCHEMES = ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster")
DEFAULT_PORTS = {"single": 6379, "sentinel": 26379, "cluster": 6379}


@dataclass(frozen=True)
class RedisOptions:
    """How to reach the store. `username` and `password`, when given, win over those in `url`.

    url    redis://host:port/db · rediss://... with TLS · unix:///path · redis+sentinel://host:port,host:port/service
           · redis+cluster://host:port,host:port; the last two also as rediss+...
    """

    url: str
    username: str | None = None
    password: str | None = None
    # the certificate authority of rediss://, instead of the system's
    ca_file: str | None = None
    connect_timeout_seconds: float = 2.0
    # of one command; a chunk of 1 MiB must pass in it
    timeout_seconds: float = 10.0
    # waits between tries double from the first to the longest, each with jitter
    retries: int = 6
    first_wait_seconds: float = 0.05
    longest_wait_seconds: float = 1.0

    def __post_init__(self) -> None:
        if urlsplit(self.url).scheme not in SCHEMES:
            raise ValueError(f"url: {self.without_secrets!r} begins with none of {', '.join(SCHEMES)}")
        if "@" in self.url and "@" not in urlsplit(self.url).netloc and not self._socket:
            raise ValueError("url: its user or password has a '/', '?' or '#'; write %2F, %3F or %23 for it")
        # said now, and not when the first command is sent
        _ = self.hosts
        if self.kind == "sentinel":
            _ = self.service
        self._check_database()

    @property
    def without_secrets(self) -> str:
        """The URL as it may be printed."""
        # a password may hold whatever ends a host
        before, _, rest = self.url.rpartition("@")
        scheme, mark, _ = before.partition("://")
        return f"{scheme}{mark}{rest}" if mark else rest

    @property
    def kind(self) -> str:
        """`single`, `sentinel` or `cluster`."""
        return urlsplit(self.url).scheme.partition("+")[2] or "single"

    @property
    def tls(self) -> bool:
        return urlsplit(self.url).scheme.startswith("rediss")

    @property
    def hosts(self) -> list[tuple[str, int]]:
        """Each host and port; none for a socket."""
        where = urlsplit(self.url).netloc.rpartition("@")[2]
        return [] if self._socket else [self._host(item) for item in where.split(",")]

    @property
    def service(self) -> str:
        """The name of the master that Sentinel watches."""
        name = urlsplit(self.url).path.strip("/")
        if not name:
            raise ValueError(f"url: {self.without_secrets!r} names no service; end it with /name-of-the-master")
        return unquote(name)

    def with_credentials_of_url(self) -> Self:
        """The same, with the user and password of the URL unless others are given."""
        user, _, password = urlsplit(self.url).netloc.rpartition("@")[0].partition(":")
        return replace(
            self,
            username=self.username or unquote(user) or None,
            password=self.password or unquote(password) or None,
        )

    @property
    def _socket(self) -> bool:
        return urlsplit(self.url).scheme == "unix"

    def _check_database(self) -> None:
        parts, single = urlsplit(self.url), self.kind == "single"
        options = parse_qs(parts.query, keep_blank_values=True)
        numbers = options.pop("db", []) if single else []
        if options:
            known = "db=NUMBER is" if single else "there are none"
            raise ValueError(f"url: {min(options)!r} in {self.without_secrets!r} is no option; {known}")
        if single and not self._socket:
            numbers.append(parts.path.strip("/") or "0")
        for number in numbers:
            if not number.isdecimal():
                raise ValueError(f"url: {number!r} in {self.without_secrets!r} is not the number of a database")

    def _host(self, item: str) -> tuple[str, int]:
        parts = urlsplit(f"//{item}")
        try:
            port = parts.port
        except ValueError as error:
            raise ValueError(f"url: {item!r} has no whole number from 0 to 65535 behind the colon") from error
        if not parts.hostname:
            raise ValueError(f"url: {self.without_secrets!r} names no host; write host:port,host:port")
        return parts.hostname, port or DEFAULT_PORTS[self.kind]
