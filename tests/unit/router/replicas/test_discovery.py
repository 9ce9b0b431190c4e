"""Where the runtimes are said to be."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing

import pytest
from structlog.testing import capture_logs

from router.replicas.discovery import AllTargets, DnsTargets, ListedTargets, addresses, discovery_of, is_target


class Names:
    """Resolves as told, the last answer for ever."""

    def __init__(self, *answers: Sequence[str] | OSError) -> None:
        self._answers = list(answers)
        self.asked = 0

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked += 1
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, OSError):
            raise answer
        return answer


async def first(targets: AsyncIterator[frozenset[str]], count: int) -> list[set[str]]:
    found: list[set[str]] = []
    async with asyncio.timeout(10):
        while len(found) < count:
            found.append(set(await anext(targets)))
    return found


async def test_a_list_is_told_once():
    async with aclosing(ListedTargets(["a:1", "b:1"]).targets()) as targets:
        assert await first(targets, 1) == [{"a:1", "b:1"}]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await anext(targets)


async def test_a_name_is_looked_up_again_and_the_last_addresses_stay_while_it_cannot_be():
    names = Names(OSError("away"), ["1.1.1.1:5"], ["1.1.1.1:5"], OSError("away"), ["1.1.1.1:5", "2.2.2.2:5"])
    async with aclosing(DnsTargets("runtimes", 5, 0.001, names).targets()) as targets:
        assert await first(targets, 2) == [{"1.1.1.1:5"}, {"1.1.1.1:5", "2.2.2.2:5"}]
    assert names.asked == 5


async def test_what_cannot_be_a_name_is_looked_up_no_less():
    async with aclosing(AllTargets([DnsTargets("a..b", 5, 0.001), ListedTargets(["a:1"])]).targets()) as targets:
        assert await first(targets, 1) == [{"a:1"}]
        with capture_logs() as lines, pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await anext(targets)
    assert {line["host"] for line in lines} == {"a..b"}


async def test_several_are_told_together():
    names = Names(["1.1.1.1:5"])
    both = AllTargets([ListedTargets(["a:1"]), DnsTargets("runtimes", 5, 0.001, names)])
    async with aclosing(both.targets()) as targets:
        async with asyncio.timeout(10):
            while await anext(targets) != {"a:1", "1.1.1.1:5"}:
                pass


async def test_this_machine_has_an_address():
    assert "127.0.0.1:80" in await addresses("127.0.0.1", 80)
    assert await addresses("::1", 80) == ["[::1]:80"]


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("10.0.0.1:50052", True),
        ("runtime-1.runtime:50052", True),
        ("dns:///runtimes.default.svc:50052", True),
        ("k8s:///default/runtimes:50052", True),
        ("dns:///runtimes", False),
        ("k8s:///runtimes:50052", False),
        ("http://runtimes:50052", False),
        ("runtimes", False),
        ("10.0.0.1:65535", True),
        ("10.0.0.1:65536", False),
        ("dns:///runtimes:99999", False),
        ("k8s:///default/runtimes:0", False),
    ],
)
def test_what_a_target_may_look_like(text, known):
    assert is_target(text) == known


async def test_settings_may_mix_them():
    async with aclosing(discovery_of(["a:1", "dns:///127.0.0.1:7"], 0.01).targets()) as targets:
        async with asyncio.timeout(10):
            while await anext(targets) != {"a:1", "127.0.0.1:7"}:
                pass
