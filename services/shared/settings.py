"""Settings from the environment, or one clear sentence per variable that is wrong."""

import sys
from typing import Annotated, Any, NoReturn, TypeVar

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsError

EXIT_CODE = 2
MAX_SHOWN = 64

Settings = TypeVar("Settings", bound=BaseSettings)
# a port that may be left out: an empty variable is None
OptionalPort = Annotated[
    Annotated[int, Field(ge=0, le=65535)] | None, BeforeValidator(lambda value: None if value == "" else value)
]


def load_settings(cls: type[Settings]) -> Settings:
    """The settings that the environment holds. Exits with code 2 when a variable is wrong or missing."""
    try:
        return cls()
    except ValidationError as error:
        refuse_start(*(_sentence(cls, problem) for problem in error.errors(include_url=False)))
    except SettingsError as error:
        refuse_start(f"{error}: {error.__cause__}; write it as JSON")


def refuse_start(*sentences: str) -> NoReturn:
    """Ends the process with code 2, each sentence on its own line of stderr and no traceback."""
    sys.stderr.write("".join(f"{sentence}\n" for sentence in sentences))
    raise SystemExit(EXIT_CODE)


def _sentence(cls: type[BaseSettings], problem: Any) -> str:
    if not problem["loc"]:
        return str(problem["msg"])
    name = str(problem["loc"][0])
    variable = f"{cls.model_config['env_prefix']}{name}".upper()
    meaning = cls.model_fields[name].description
    if problem["type"] == "missing":
        return f"{variable} is missing; set it to: {meaning}"
    shown = repr(problem["input"])[:MAX_SHOWN]
    return f"{variable} is {shown}: {problem['msg']} ({meaning})"
