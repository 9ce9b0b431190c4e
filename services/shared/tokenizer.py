"""The model's own tokenizer, without torch."""

from collections.abc import Sequence
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

    def encode_pieces(self, pieces: Sequence[str]) -> list[int]:
        """Token ids of `pieces` in a row, with nothing added. No token reaches from one into the next."""
        encodings = self._tokenizer.encode_batch_fast(list(pieces), add_special_tokens=False)
        return [token for encoding in encodings for token in encoding.ids]

    @property
    def special_tokens(self) -> tuple[str, ...]:
        """Texts that are one token each wherever they stand: the ends of messages, say."""
        return tuple(token.content for token in self._tokenizer.get_added_tokens_decoder().values() if token.special)
