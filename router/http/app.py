"""The routes."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from grpc.aio import AioRpcError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp

from router.http.answers import ChatCompletion, Completion, ErrorBody, Model, ModelList, State
from router.http.errors import failure_of
from router.http.exchange import Exchange
from router.http.gate import Gate
from router.http.parts import HttpOptions, HttpParts
from router.http.requests import ChatRequest, CompletionRequest
from router.http.requests import Request as Body
from router.http.shapes import ChatShape, Head, Shape, TextShape, frames, whole_answer
from router.http.streaming import EventStream
from router.http.translate import to_generate
from services.shared.errors import InvalidArgument, NotFound, ServiceError, Violation

# OpenAI's default, which is for continuing a text
COMPLETION_TOKENS = 16
NO_TEMPLATE = "the model has no chat template; send the whole prompt to /v1/completions"
OWNER = "lookaheadkv"
STREAM: Any = {200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}}
ERRORS: Any = {status: {"model": ErrorBody} for status in (400, 401, 403, 404, 409, 413, 429, 500, 503, 504, "default")}


def build_http(parts: HttpParts, options: HttpOptions) -> ASGIApp:
    """The application, with everything that stands before its routes."""
    app = FastAPI(
        title="LookaheadKV router",
        docs_url="/docs" if options.docs else None,
        redoc_url=None,
        # no header at all is JSON, too; another type is refused
        strict_content_type=False,
    )
    api = _Api(parts, options)
    app.add_api_route(
        "/v1/chat/completions", api.chat, methods=["POST"], response_model=ChatCompletion, responses=STREAM | ERRORS
    )
    app.add_api_route(
        "/v1/completions", api.complete, methods=["POST"], response_model=Completion, responses=STREAM | ERRORS
    )
    app.add_api_route("/v1/models", api.models, response_model=ModelList, responses=ERRORS)
    app.add_api_route("/v1/models/{name:path}", api.model, response_model=Model, responses=ERRORS)
    app.add_api_route("/health", api.health, response_model=State)
    app.add_api_route("/ready", api.ready, response_model=State, responses={503: {"model": State}})
    for kind in (ServiceError, AioRpcError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, _refused)
    return Gate(app, parts.callers, parts.requests, options.max_body_bytes)


class _Api:
    def __init__(self, parts: HttpParts, options: HttpOptions) -> None:
        self._parts = parts
        self._options = options
        self._started = int(time.time())

    async def chat(self, body: ChatRequest, request: Request) -> Response:
        """The model's turn in a chat."""
        template = self._parts.template
        if template is None:
            raise InvalidArgument(Violation("messages", NO_TEMPLATE))
        fits, exchange = self._parts.limits(), _exchange(request)
        began = time.monotonic()
        # a long text takes a while, in which other streams go on
        prompt_ids = await asyncio.to_thread(template.prompt_ids, body.messages, body.chat_template_kwargs)
        exchange.record.tokenizing_seconds = time.monotonic() - began
        most = max(1, min(self._options.chat_tokens, fits.context_tokens - len(prompt_ids)))
        return await self._answer(ChatShape(), body, prompt_ids, most, fits.model, exchange)

    async def complete(self, body: CompletionRequest, request: Request) -> Response:
        """What comes behind a text."""
        fits, exchange = self._parts.limits(), _exchange(request)
        return await self._answer(TextShape(), body, body.single_prompt, COMPLETION_TOKENS, fits.model, exchange)

    async def models(self) -> ModelList:
        """The only model."""
        return ModelList(data=[self._model()])

    async def model(self, name: str) -> Model:
        """The model of this name."""
        model = self._model()
        if name != model.id:
            raise NotFound("model", name, [model.id])
        return model

    async def health(self) -> State:
        """That the process lives, whether it is ready or not."""
        return State(status="alive")

    async def ready(self) -> Response:
        """Whether a request would be served now."""
        objection = self._parts.objection()
        state = State(status=objection or "ready").model_dump_json()
        return Response(state, 503 if objection else 200, media_type="application/json")

    async def _answer(
        self, shape: Shape, body: Body, prompt: str | Sequence[int], most_tokens: int, model: str, exchange: Exchange
    ) -> Response:
        asked = body.max_new_tokens
        request = to_generate(body, prompt, most_tokens if asked is None else asked, exchange)
        # refused here, and not in the middle of an answer
        exchange.time_remaining()
        caller, record = exchange.caller, exchange.record
        responses = self._parts.generation.respond(request, caller, exchange.time_remaining, record)
        head = Head(exchange.request_id, model)
        if body.stream:
            return EventStream(frames(shape, head, responses, body.with_usage), exchange, self._options.pace)
        return Response(await whole_answer(shape, head, responses), media_type="application/json")

    def _model(self) -> Model:
        fits = self._parts.limits()
        return Model(id=fits.model, created=self._started, owned_by=OWNER, max_model_len=fits.context_tokens)


def _exchange(request: Request) -> Exchange:
    found = Exchange.found(request.scope)
    if found is None:
        raise LookupError(f"{request.url.path} is not behind the gate")
    return found


async def _refused(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException) and error.status_code != 400:
        # the framework's own words name nothing
        error.detail = f"{request.method} {request.url.path}: {error.detail}; /openapi.json says what there is"
    exchange = Exchange.found(request.scope)
    failure = exchange.fail(error) if exchange else failure_of(error)
    return failure.response()
