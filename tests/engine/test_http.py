"""A question over OpenAI's API, answered by the real model from a part of its prompt."""

from typing import Any

import openai

from tests.processes import ServerProcess


def test_openais_client_gets_the_right_answer_and_the_report(runtime, model_path):
    target = runtime.process.target
    variables = {"ROUTER_PORT": "0", "ROUTER_HTTP_PORT": "0", "ROUTER_TARGETS": target}
    router = ServerProcess("router.main", variables | {"ROUTER_MODEL_PATH": str(model_path)})
    try:
        router.wait_for("runtime in")
        port = router.wait_for("http")["port"]
        with openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none", max_retries=0) as client:
            (model,) = client.models.list().data
            stream = client.chat.completions.create(
                model=model.id,
                messages=[{"role": "user", "content": "What is the capital of France?"}],
                temperature=0,
                stream=True,
                stream_options={"include_usage": True},
            )
            chunks: list[Any] = list(stream)
    finally:
        router.kill()
    *chunks, last = chunks
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert text == "The capital of France is Paris."
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert last.usage.kv["kept_tokens"] == last.usage.prompt_tokens
