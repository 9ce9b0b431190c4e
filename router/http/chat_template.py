"""A chat as the model's own template writes it, with tokens for the template's marks and none for those of a client."""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn, Self

from jinja2 import TemplateError, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from router.http.requests import Message
from services.shared.errors import InvalidArgument, Violation
from services.shared.tokenizer import PromptTokenizer

# Unicode will never give it a meaning
CUT = "\ufdd0"
NAMED_TOKENS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
# what a template does with a value that it does not expect
TEMPLATE_ERRORS = (TemplateError, TypeError, ValueError, LookupError)


class ChatTemplate:
    """Turns messages into token ids.

    What is a special token in the template is one; the same characters in a message are ordinary text, so that no
    message can end itself and begin another one. Nothing is added: a template that wants a start token writes it.
    """

    def __init__(self, source: str, tokens: Mapping[str, str], tokenizer: PromptTokenizer) -> None:
        """Raises ValueError when `source` is no template."""
        try:
            self._template = _environment().from_string(source)
        except TemplateError as error:
            raise ValueError(f"the chat template does not compile: {error}") from error
        self._tokens = dict(tokens)
        self._tokenizer = tokenizer
        self._knows_developer = "developer" in source
        # each first character of one, as two may overlap
        begins = "|".join(f"{re.escape(token[0])}(?={re.escape(token[1:])})" for token in tokenizer.special_tokens)
        self._begins = re.compile(begins) if begins else None

    @classmethod
    def read(cls, folder: Path, tokenizer: PromptTokenizer) -> Self | None:
        """That of a model folder; None when it has none. Raises ValueError and OSError."""
        file = folder / "tokenizer_config.json"
        config = json.loads(file.read_text()) if file.is_file() else {}
        separate = folder / "chat_template.jinja"
        source = separate.read_text() if separate.is_file() else _default(config.get("chat_template"))
        return cls(source, _tokens(config), tokenizer) if source else None

    def prompt_ids(self, messages: Sequence[Message], switches: Mapping[str, bool]) -> list[int]:
        """The whole prompt, up to where the answer begins. Raises InvalidArgument when the template refuses it."""
        values = {"messages": [self._plain(message) for message in messages], "add_generation_prompt": True}
        try:
            text = self._template.render({**switches, "tools": None, "documents": None, **self._tokens, **values})
        except TEMPLATE_ERRORS as error:
            raise InvalidArgument(Violation("messages", f"the model's chat template refuses them: {error}")) from error
        return self._tokenizer.encode_pieces(text.split(CUT))

    def _plain(self, message: Message) -> dict[str, Any]:
        plain = message.model_dump(include={"role", "content", "name", "tool_call_id"}, exclude_none=True)
        if isinstance(message.content, list):
            plain["content"] = "\n".join(part.text for part in message.content)
        if self._begins:
            # a token is only found where it stands in one piece
            plain["content"] = self._begins.sub(rf"\g<0>{CUT}", plain["content"].replace(CUT, ""))
        if message.role == "developer" and not self._knows_developer:
            plain["role"] = "system"
        return plain


class _Generation(Extension):
    """Templates mark with it what the model is trained on."""

    tags = {"generation"}

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _environment() -> ImmutableSandboxedEnvironment:
    """As templates expect it: the one of transformers' `apply_chat_template`."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
    )
    environment.filters["tojson"] = _tojson
    environment.globals |= {"raise_exception": _raise, "strftime_now": lambda shape: datetime.now().strftime(shape)}
    return environment


def _tojson(value: Any, ensure_ascii: bool = False, **options: Any) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, **options)


def _raise(sentence: str) -> NoReturn:
    raise TemplateError(sentence)


def _default(found: Any) -> str:
    """Of one template, or of several with names."""
    if isinstance(found, list):
        return next((str(each["template"]) for each in found if each["name"] == "default"), "")
    return found or ""


def _tokens(config: Mapping[str, Any]) -> dict[str, str]:
    """The texts of the tokens that a template may name."""
    named = {name: config.get(name) for name in NAMED_TOKENS}
    texts = {name: token["content"] if isinstance(token, dict) else token for name, token in named.items()}
    return {name: text for name, text in texts.items() if text}
