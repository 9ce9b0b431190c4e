import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

from services.local.model import ensure_model


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_the_converted_model_knows_the_capital_of_france(dtype):
    folder = ensure_model(dtype=dtype)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    question = [{"role": "user", "content": "What is the capital of France?"}]
    prompt = tokenizer.apply_chat_template(question, add_generation_prompt=True, return_tensors="pt", return_dict=True)

    with torch.no_grad():
        answer = model.generate(**prompt, max_new_tokens=12, do_sample=False)

    text = tokenizer.decode(answer[0, prompt["input_ids"].shape[1] :], skip_special_tokens=True)
    assert model.dtype == getattr(torch, dtype)
    assert text == "The capital of France is Paris."
