"""What the tests of the router's HTTP share: a router process with clients of its own, and a core that does as told."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import openai
from opentelemetry.trace import NoOpTracer
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from protos.generation.v1 import generation_pb2
from router.http.app import build_http
from router.http.parts import HttpOptions, HttpParts
from router.http.server import http_served
from router.http.streaming import Pace
from router.identity import Caller, CallerResolver, SingleTenant
from router.request_log import RequestLog
from router.request_record import RequestRecord, Requests
from services.shared.generation import ModelLimits
from services.shared.lifecycle import to_address
from tests.processes import ServerProcess, free_port

START, TURN, END = 1, 2, 3
TEMPLATE = (
    "{{ bos_token }} {% for message in messages %}"
    "{{ '<turn> ' + message.role + ' ' + message.content + ' <end> ' }}"
    "{% endfor %}<turn> assistant"
)
LIMITS = ModelLimits("tiny", 4096, 1000, None)
EVERYBODY = SingleTenant()
PATIENT = Pace(ping_seconds=60.0, write_seconds=60.0)


def write_chat_model(folder: Path, tiny_model: Path) -> Path:
    """The tiny model with a chat template, and a start token that plain texts get by themselves."""
    folder.mkdir()
    words = {"<unk>": 0, "<s>": START, "<turn>": TURN, "<end>": END} | {f"w{token}": token for token in range(4, 1000)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens(["<s>", "<turn>", "<end>"])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", START)])
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "config.json").write_bytes((tiny_model / "config.json").read_bytes())
    (folder / "tokenizer_config.json").write_text(json.dumps({"bos_token": "<s>", "chat_template": TEMPLATE}))
    return folder


def http_url(router: ServerProcess) -> str:
    """Where a router process serves HTTP."""
    event = router.wait_for("http")
    return f"http://{event['host']}:{event['port']}"


def sync_client(url: str, key: str = "none", **options: Any) -> Any:
    """OpenAI's own client, which tries once. Not typed, as tests send and read what its types do not know."""
    return openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, **options)


def async_client(url: str, key: str = "none", **options: Any) -> Any:
    """The same for asyncio."""
    return openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, **options)


def user(text: str) -> list[Any]:
    """A chat of one turn."""
    return [{"role": "user", "content": text}]


async def events(response: httpx.Response) -> list[Any]:
    """The data of all events of a stream, with comments among them."""
    lines = [line async for line in response.aiter_lines() if line]
    return [line if line.startswith(":") else _data(line) for line in lines]


def _data(line: str) -> Any:
    data = line.removeprefix("data: ")
    return data if data == "[DONE]" else json.loads(data)


def chunk(text: str) -> generation_pb2.GenerateResponse:
    return generation_pb2.GenerateResponse(chunk=generation_pb2.GenerateChunk(text=text, token_ids=[1]))


def complete(reason: int = generation_pb2.FINISH_REASON_STOP) -> generation_pb2.GenerateResponse:
    usage = generation_pb2.Usage(prompt_tokens=5, completion_tokens=2, cached_tokens=1)
    return generation_pb2.GenerateResponse(
        complete=generation_pb2.GenerateComplete(finish_reason=reason, usage=usage)  # type: ignore[arg-type]
    )


class ScriptedCore:
    """Answers every request with these steps: a response is sent, an error raised, an event waited for."""

    def __init__(self, *steps: Any) -> None:
        self.steps: Sequence[Any] = steps
        self.requests: list[generation_pb2.GenerateRequest] = []
        self.remaining: list[float | None] = []
        self.ended = asyncio.Event()

    async def count(self) -> int:
        """Requests so far."""
        return len(self.requests)

    async def respond(
        self,
        request: generation_pb2.GenerateRequest,
        caller: Caller,
        time_remaining: Callable[[], float | None],
        record: RequestRecord,
    ) -> AsyncGenerator[generation_pb2.GenerateResponse, None]:
        self.requests.append(request)
        self.remaining.append(time_remaining())
        try:
            for step in self.steps:
                if isinstance(step, Exception):
                    raise step
                if isinstance(step, asyncio.Event):
                    await step.wait()
                else:
                    yield step
            record.answered = True
        finally:
            self.ended.set()


@asynccontextmanager
async def served(
    core: ScriptedCore,
    pace: Pace = PATIENT,
    max_body_bytes: int = 1 << 20,
    callers: CallerResolver = EVERYBODY,
    host: str = "127.0.0.1",
) -> AsyncIterator[str]:
    """The URL of a server in this process, with `core` behind it."""
    parts = HttpParts(core, callers, Requests((RequestLog(),), NoOpTracer()), None, lambda: LIMITS, lambda: "")
    app = build_http(parts, HttpOptions(max_body_bytes, 1024, pace, docs=True))
    port = free_port()
    async with http_served(app, host, port, pace.write_seconds):
        yield f"http://{to_address(host, port)}"
