"""Which Redis a URL names, and what an error of Redis means; no server is asked."""

import pytest
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ConnectionError,
    NoPermissionError,
    OutOfMemoryError,
    RedisClusterException,
    ResponseError,
    TimeoutError,
)

from services.shared.redis.commands import RedisCommands
from services.shared.redis.connection import check_policy
from services.shared.redis.errors import StoreForbidden, StoreFull, StoreMisconfigured, StoreUnavailable
from services.shared.redis.options import RedisOptions


class FailingClient:
    """A client whose every command ends in this."""

    def __init__(self, error):
        self.error = error

    async def execute_command(self, *args):
        raise self.error


class AnsweringClient(FailingClient):
    async def execute_command(self, *args):
        return self.error


@pytest.mark.parametrize(
    "url, kind, tls, hosts",
    [
        ("redis+sentinel://a:1,b/main", "sentinel", False, [("a", 1), ("b", 26379)]),
        ("rediss+sentinel://user:p%40ss@a,b:2/main", "sentinel", True, [("a", 26379), ("b", 2)]),
        ("redis+cluster://a,[::1]:7", "cluster", False, [("a", 6379), ("::1", 7)]),
        ("rediss+cluster://a:1", "cluster", True, [("a", 1)]),
    ],
)
def test_a_url_names_several_servers(url, kind, tls, hosts):
    options = RedisOptions(url)
    assert (options.kind, options.tls, options.hosts) == (kind, tls, hosts)


@pytest.mark.parametrize("url, tls", [("redis://a:1/2", False), ("rediss://a", True), ("unix:///a/b", False)])
def test_a_url_names_one_server(url, tls):
    assert (RedisOptions(url).kind, RedisOptions(url).tls) == ("single", tls)


@pytest.mark.parametrize(
    "url, message",
    [
        ("redis+sentinel://a:1", "names no service; end it with /name-of-the-master"),
        ("redis+sentinel://:1/main", "names no host"),
        ("redis+sentinel://a/main?db=1", "'db' in 'redis\\+sentinel://a/main\\?db=1' is no option; there are none"),
        ("redis+cluster://a:x", "'a:x' has no whole number"),
        ("redis://", "names no host"),
        ("redis://a:x", "'a:x' has no whole number from 0 to 65535"),
        ("redis://a:99999", "'a:99999' has no whole number from 0 to 65535"),
        ("redis://a/x", "'x' in 'redis://a/x' is not the number of a database"),
        ("unix:///a?db=x", "'x' in 'unix:///a\\?db=x' is not the number of a database"),
        ("redis://a?timeout=1", "'timeout' in 'redis://a\\?timeout=1' is no option; db=NUMBER is"),
        ("a:1", "'a:1' begins with none of redis, rediss"),
    ],
)
def test_a_wrong_url_is_a_sentence_before_a_server_is_asked(url, message):
    with pytest.raises(ValueError, match=f"^url: .*{message}"):
        RedisOptions(url)


@pytest.mark.parametrize("url", ["redis://a", "redis://a:1/", "rediss://a/3", "redis://a?db=3", "unix:///a@b?db=3"])
def test_a_database_may_be_named(url):
    assert RedisOptions(url).url == url


@pytest.mark.parametrize(
    "url, message",
    [
        ("http://user:secret@a:1", "url: 'http://a:1' begins with none of redis, rediss"),
        ("http://user:secret#secret@a:1", "url: 'http://a:1' begins with none of redis, rediss"),
        ("user:secret@a:1", "url: 'a:1' begins with none of redis, rediss"),
        ("redis://user:secret#secret@a:1", "has a '/', '\\?' or '#'; write %2F, %3F or %23"),
        ("redis://user:secret@a:x", "'a:x' has no whole number"),
        ("redis://user:secret@a/x", "'x' in 'redis://a/x' is not"),
    ],
)
def test_no_sentence_about_a_url_has_its_password(url, message):
    with pytest.raises(ValueError, match=message) as caught:
        RedisOptions(url)
    assert "secret" not in str(caught.value)


def test_given_credentials_win_over_those_of_the_url():
    options = RedisOptions("redis+cluster://user:p%40ss@a", username="other").with_credentials_of_url()
    assert (options.username, options.password) == ("other", "p@ss")
    assert RedisOptions("redis://a").with_credentials_of_url().username is None


@pytest.mark.parametrize(
    "error, expected",
    [
        (OutOfMemoryError("command not allowed when used memory > 'maxmemory'."), StoreFull),
        (NoPermissionError("this user has no permissions"), StoreForbidden),
        (AuthenticationError("invalid username-password pair"), StoreForbidden),
        (ResponseError("unknown command 'CONFIG'"), StoreForbidden),
        (ResponseError("ACL failure in script: this user has no permissions"), StoreForbidden),
        (ConnectionError("Connection refused"), StoreUnavailable),
        (TimeoutError("Timeout reading"), StoreUnavailable),
        (BusyLoadingError("Redis is loading the dataset in memory"), StoreUnavailable),
        (RedisClusterException("Redis Cluster cannot be connected"), StoreUnavailable),
        (OSError("Name or service not known"), StoreUnavailable),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else type(value).__name__,
)
async def test_every_error_of_redis_is_one_of_ours(error, expected):
    with pytest.raises(expected, match="Redis at redis://a") as caught:
        await RedisCommands(FailingClient(error), "redis://a", 1.0, "scorer.adapters").call("GET", "key")
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("answer", [{}, {"maxmemory-policy": "noeviction"}])
async def test_a_redis_that_does_not_say_its_policy_is_used(answer):
    await check_policy(RedisCommands(AnsweringClient(answer), "redis://a", 1.0, "scorer.adapters"))


async def test_a_redis_that_deletes_keys_is_refused():
    with pytest.raises(StoreMisconfigured, match="volatile-ttl"):
        await check_policy(
            RedisCommands(AnsweringClient({"maxmemory-policy": "volatile-ttl"}), "redis://a", 1.0, "scorer.adapters")
        )
