"""The model's own tokenizer, without torch."""

from pathlib import Path

from tokenizers import Tokenizer


class PromptTokenizer:
    """Turns text into token ids exactly as the engine would."""

    def __init__(self, model_path: Path) -> None:
        """Reads `tokenizer.json` in `model_path`. Raises FileNotFoundError with the path when it is not there."""
        file = model_path / "tokenizer.json"
        if not file.is_file():
            raise FileNotFoundError(f"model_path: {file} does not exist; name a folder in Hugging Face layout")
        self._tokenizer = Tokenizer.from_file(str(file))

    def encode(self, text: str) -> list[int]:
        """Token ids of `text`, special tokens of the model's template included. Other threads run meanwhile."""
        # `encode` holds the interpreter lock to its end; the batch call lets go of it and is faster for one text too
        ids: list[int] = self._tokenizer.encode_batch_fast([text])[0].ids
        return ids
