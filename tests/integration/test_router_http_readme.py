"""The examples of the README work as they stand."""

import json
import re
import shutil
import subprocess
import sys

import pytest

from tests.integration.http_calls import http_url, write_chat_model
from tests.processes import ROOT

README = (ROOT / "router" / "http" / "README.md").read_text()
ADDRESS = "http://127.0.0.1:8000"


def block(language: str) -> str:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)[0]


@pytest.fixture
def url(start_runtime, start_router, tiny_model, tmp_path) -> str:
    model = write_chat_model(tmp_path / "tiny", tiny_model)
    runtime = start_runtime(RUNTIME_MODEL_PATH=model)
    router = start_router(runtime.target, ROUTER_MODEL_PATH=model, ROUTER_HTTP_PORT=0)
    router.wait_for("runtime in")
    return http_url(router)


def test_the_python_of_the_readme_prints_answer_and_report(url):
    code = block("python").replace(ADDRESS, url)
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout
    answer, report = out.splitlines()
    assert len(answer.split()) == 16
    assert re.match(r"\d+ \['.*request_hint", report)


@pytest.mark.skipif(not shutil.which("curl"), reason="needs curl")
def test_the_curl_of_the_readme_prints_a_stream_that_ends_with_its_usage(url):
    code = block("sh").replace(ADDRESS, url)
    out = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout
    *_, usage, done = out.split("\n\n")[:-1]
    assert json.loads(usage.removeprefix("data: "))["usage"]["kv"]["kept_tokens"] > 0
    assert done == "data: [DONE]"
