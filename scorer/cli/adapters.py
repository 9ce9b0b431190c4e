"""`lookaheadkv adapters ...`: each command reads its arguments, asks the store, and prints the answer."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from scorer.adapters.bundle import verify_bundle, verify_numbers
from scorer.adapters.folder import read_files
from scorer.adapters.store_values import DEFAULT_ALIAS, AdapterId, VersionId
from scorer.cli import actions
from scorer.cli.output import (
    adapters_table,
    alias_sentence,
    manifest_value,
    state_value,
    versions_table,
)
from scorer.cli.running import Where, progress, refusals, with_store
from services.shared.cli.output import tell

GOES_ON = "stopped; the same command goes on where it was"


def _adapter(text: str) -> AdapterId:
    try:
        if "/" not in text:
            raise ValueError(f"{text!r} has no slash; write MODEL/NAME, e.g. SmolLM2-135M-Instruct/news")
        return AdapterId.parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def _share(text: str) -> float:
    number, percent, rest = text.partition("%")
    try:
        share = float(number) / (100 if percent else 1)
    except ValueError:
        share = -1
    # not a number is not in it, either
    if rest or not 0 <= share <= 1:
        raise typer.BadParameter(f"{text!r} is not a share; write 5% or 0.05, from 0 to 1")
    return share


Name = Annotated[AdapterId, typer.Argument(parser=_adapter, metavar="MODEL/NAME", help="The adapter.")]
Number = Annotated[int, typer.Argument(min=1, metavar="VERSION", help="The number of a version.")]
Share = Annotated[float, typer.Argument(parser=_share, metavar="SHARE", help="5% or 0.05.")]
Version = Annotated[int | None, typer.Option(min=1, help="The number of a version, instead of an alias.")]
AliasName = Annotated[str, typer.Option(help="The alias.")]
Url = Annotated[str, typer.Option("--redis-url", envvar="LOOKAHEADKV_REDIS_URL", help="Where adapters lie.")]
CaFile = Annotated[
    Path | None,
    typer.Option("--redis-ca-file", exists=True, dir_okay=False, help="Certificate authority of rediss://."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Folder = Annotated[Path, typer.Argument(help="A folder with the three files of an adapter.")]
NewFolder = Annotated[Path, typer.Argument(help="A folder to make.")]
MoveAlias = Annotated[str | None, typer.Option("--alias", help="Move this alias to the new version, too.")]
AsNext = Annotated[bool, typer.Option("--next", help="Take the next free number instead of the manifest's.")]
Fingerprint = Annotated[str | None, typer.Option("--model-fingerprint", help="Only adapters for this model.")]
Target = Annotated[str, typer.Argument(metavar="FOLDER|MODEL/NAME", help="A folder, or an adapter in the store.")]


def publish_folder(
    context: typer.Context,
    folder: Folder,
    alias: MoveAlias = None,
    as_next: AsNext = False,
    url: Url = "",
    ca_file: CaFile = None,
    as_json: AsJson = False,
) -> None:
    """Publish a folder as a new version. After Ctrl-C the same command goes on."""
    files = _checked_folder(folder)
    with progress("sending and checking") as told:
        adapter, info, moved = with_store(
            context,
            Where(url, ca_file),
            lambda store: actions.publish_files(store, files, alias, as_next, told),
            interrupted=GOES_ON,
        )
    value = {"adapter": str(adapter), "version": asdict(info), "alias": asdict(moved) if moved else None}
    published = f"published {VersionId(adapter, info.number)}"
    tell(value, as_json, lambda: f"{published}; {alias_sentence(moved)}" if moved else published)


def list_adapters(
    context: typer.Context,
    fingerprint: Fingerprint = None,
    url: Url = "",
    ca_file: CaFile = None,
    as_json: AsJson = False,
) -> None:
    """List all adapters."""
    states = with_store(context, Where(url, ca_file), lambda store: actions.all_adapters(store, fingerprint))
    tell([state_value(state) for state in states], as_json, lambda: adapters_table(states))


def show(context: typer.Context, adapter: Name, url: Url = "", ca_file: CaFile = None, as_json: AsJson = False) -> None:
    """Show the versions of an adapter."""
    state = with_store(context, Where(url, ca_file), lambda store: actions.one_adapter(store, adapter))
    tell(state_value(state), as_json, lambda: versions_table(state))


def promote(
    context: typer.Context,
    adapter: Name,
    version: Number,
    alias: AliasName = DEFAULT_ALIAS,
    url: Url = "",
    ca_file: CaFile = None,
    as_json: AsJson = False,
) -> None:
    """Move an alias to a version, or make one."""
    moved = with_store(context, Where(url, ca_file), lambda store: actions.point(store, adapter, alias, version))
    tell(asdict(moved), as_json, lambda: alias_sentence(moved))


def split(
    context: typer.Context,
    adapter: Name,
    share: Share,
    alias: Annotated[str, typer.Option(help="The alias that gets it.")] = "canary",
    url: Url = "",
    ca_file: CaFile = None,
    as_json: AsJson = False,
) -> None:
    """Give an alias a share of the requests that name none; 0 ends that."""
    given = with_store(context, Where(url, ca_file), lambda store: actions.give_share(store, adapter, alias, share))
    tell(asdict(given), as_json, lambda: alias_sentence(given))


def rollback(
    context: typer.Context,
    adapter: Name,
    alias: AliasName = DEFAULT_ALIAS,
    url: Url = "",
    ca_file: CaFile = None,
    as_json: AsJson = False,
) -> None:
    """Move an alias to the version it pointed at before."""
    moved = with_store(context, Where(url, ca_file), lambda store: actions.go_back(store, adapter, alias))
    tell(asdict(moved), as_json, lambda: alias_sentence(moved))


def delete(
    context: typer.Context,
    adapter: Name,
    version: Number,
    url: Url = "",
    ca_file: CaFile = None,
    as_json: AsJson = False,
) -> None:
    """Delete a version; refused while an alias points at it."""
    gone = VersionId(adapter, version)
    with_store(context, Where(url, ca_file), lambda store: store.delete_version(gone))
    tell({"adapter": str(adapter), "version": version}, as_json, lambda: f"deleted {gone}")


def pull(
    context: typer.Context,
    adapter: Name,
    folder: NewFolder,
    version: Version = None,
    alias: AliasName = DEFAULT_ALIAS,
    url: Url = "",
    ca_file: CaFile = None,
    as_json: AsJson = False,
) -> None:
    """Copy a version into a new folder."""
    files = _fetch(context, Where(url, ca_file), adapter, version, alias)
    with refusals():
        actions.save(folder, files)
    tell(manifest_value(files.manifest), as_json, lambda: f"{adapter} version {files.manifest.version} is in {folder}")


def verify(
    context: typer.Context,
    target: Target,
    version: Version = None,
    alias: AliasName = DEFAULT_ALIAS,
    url: Url = "",
    ca_file: CaFile = None,
    as_json: AsJson = False,
) -> None:
    """Check every byte, shape and number of an adapter in a folder or in the store."""
    if Path(target).is_dir():
        files = _checked_folder(Path(target))
    elif "/" not in target:
        raise typer.BadParameter(f"{target!r} is neither a folder here nor MODEL/NAME", param_hint="FOLDER|MODEL/NAME")
    else:
        files = _fetch(context, Where(url, ca_file), _adapter(target), version, alias)
    tell(manifest_value(files.manifest), as_json, lambda: f"{target} is sound: version {files.manifest.version}")


def _fetch(context: typer.Context, where: Where, adapter: AdapterId, version: int | None, alias: str) -> actions.Files:
    with progress("reading") as told:
        files = with_store(context, where, lambda store: actions.fetch(store, adapter, version, alias, told))
    with refusals():
        _check(files)
    return files


def _checked_folder(folder: Path) -> actions.Files:
    with refusals():
        files = actions.Files(*read_files(folder))
        _check(files)
    return files


def _check(files: actions.Files) -> None:
    verify_numbers(verify_bundle(files.manifest, files.contents, files.manifest.model_config_fields))
