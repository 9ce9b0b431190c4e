"""The same answer as a chat's or a completion's objects, whole or as the chunks of a stream."""

import json
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from protos.generation.v1 import generation_pb2
from router.http.answers import AssistantMessage, ChatChoice, ChatCompletion, Completion, TextChoice, Usage
from router.http.usage import usage_of
from services.shared.errors import Unavailable

Responses = AsyncGenerator[generation_pb2.GenerateResponse, None]
FinishReason = Literal["stop", "length"]
Fields = dict[str, Any]

FINISH_REASONS: dict[int, FinishReason] = {
    generation_pb2.FINISH_REASON_STOP: "stop",
    generation_pb2.FINISH_REASON_LENGTH: "length",
}
DONE = b"data: [DONE]\n\n"
NO_LAST_WORD = "the runtime ended the answer without its last message; send the request again"
ABORTED = "the engine ended the request before its answer was complete; send it again"


@dataclass(frozen=True)
class Head:
    """What each object of one answer begins with."""

    id: str
    model: str
    created: int = field(default_factory=lambda: int(time.time()))


class Shape(Protocol):
    """One of OpenAI's two kinds of answers."""

    prefix: str
    chunk_object: str

    def whole(self, head: Head, text: str, finish: FinishReason, usage: Usage) -> str:
        """The JSON of an answer that is not streamed."""
        ...

    def opening(self) -> tuple[Fields, ...]:
        """The choices of the chunks before the first text."""
        ...

    def text(self, text: str) -> Fields:
        """The choice of a chunk with some of the text."""
        ...

    def closing(self, finish: FinishReason) -> Fields:
        """The choice of the chunk that says how it ended."""
        ...


class ChatShape:
    prefix = "chatcmpl-"
    chunk_object = "chat.completion.chunk"

    def whole(self, head: Head, text: str, finish: FinishReason, usage: Usage) -> str:
        choice = ChatChoice(message=AssistantMessage(content=text), finish_reason=finish)
        return ChatCompletion(**_head(self, head), choices=[choice], usage=usage).model_dump_json()

    def opening(self) -> tuple[Fields, ...]:
        return (_delta({"role": "assistant", "content": ""}, None),)

    def text(self, text: str) -> Fields:
        return _delta({"content": text}, None)

    def closing(self, finish: FinishReason) -> Fields:
        return _delta({}, finish)


class TextShape:
    prefix = "cmpl-"
    chunk_object = "text_completion"

    def whole(self, head: Head, text: str, finish: FinishReason, usage: Usage) -> str:
        choice = TextChoice(text=text, finish_reason=finish)
        return Completion(**_head(self, head), choices=[choice], usage=usage).model_dump_json()

    def opening(self) -> tuple[Fields, ...]:
        return ()

    def text(self, text: str) -> Fields:
        return {"index": 0, "text": text, "logprobs": None, "finish_reason": None}

    def closing(self, finish: FinishReason) -> Fields:
        return {"index": 0, "text": "", "logprobs": None, "finish_reason": finish}


async def whole_answer(shape: Shape, head: Head, responses: Responses) -> str:
    """The JSON of the whole answer. Raises what `responses` raises, and Unavailable when it was not finished."""
    texts, complete = [], None
    async with aclosing(responses):
        async for response in responses:
            texts.append(response.chunk.text)
            complete = response.complete if response.HasField("complete") else None
    finish, usage = _ended(complete)
    return shape.whole(head, "".join(texts), finish, usage)


async def frames(shape: Shape, head: Head, responses: Responses, with_usage: bool) -> AsyncGenerator[bytes, None]:
    """The events of the answer. Raises as `whole_answer` does."""
    chunk = {**_head(shape, head), "object": shape.chunk_object} | ({"usage": None} if with_usage else {})
    complete, begun = None, False
    async with aclosing(responses):
        async for response in responses:
            for choice in () if begun else shape.opening():
                yield _frame(chunk, [choice])
            begun = True
            if response.HasField("complete"):
                complete = response.complete
            elif response.chunk.text:
                yield _frame(chunk, [shape.text(response.chunk.text)])
    finish, usage = _ended(complete)
    yield _frame(chunk, [shape.closing(finish)])
    if with_usage:
        yield _frame(chunk | {"usage": usage.model_dump()}, [])
    yield DONE


def _head(shape: Shape, head: Head) -> Fields:
    return {"id": f"{shape.prefix}{head.id}", "created": head.created, "model": head.model}


def _delta(delta: Fields, finish: FinishReason | None) -> Fields:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}


def _frame(chunk: Fields, choices: list[Fields]) -> bytes:
    return b"data: %s\n\n" % json.dumps({**chunk, "choices": choices}).encode()


def _ended(complete: generation_pb2.GenerateComplete | None) -> tuple[FinishReason, Usage]:
    if complete is None:
        raise Unavailable(NO_LAST_WORD)
    if complete.finish_reason not in FINISH_REASONS:
        raise Unavailable(ABORTED)
    return FINISH_REASONS[complete.finish_reason], usage_of(complete)
