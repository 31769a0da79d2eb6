"""A search on a cluster of `ray up`, started from a machine that may sleep or leave.

Ray's own command line does all that needs ssh; `search/head.py` does the rest over there.
"""

import argparse
import shlex
import shutil
import tarfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from muse.errors import UserError
from search.experiment import read_study
from search.launcher_file import LauncherFile, read_launcher_file
from search.line import Line
from search.provenance import code_hash
from search.stored import key_of
from search.study import Study

FORWARDED = (
    *("name", "trials", "epochs", "limit", "seed", "phases", "max_hours", "ledger", "storage"),
    *("allow_changed", "no_samples", "resume"),
)
"""Options that the search on the head gets as they were given."""


def command(options: argparse.Namespace, experiment: Path, given: dict[str, Any]) -> int:
    """Do what the options say; returns the exit status of the search.

    Args:
        options: of the command line.
        experiment: the file that names the study.
        given: fields of the study that the command line sets.

    Raises:
        UserError: a mistake, or a line that broke.
    """
    try:
        return talk(options, experiment, given)
    except ConnectionError as error:
        again = "ask again" if options.cost else "--attach"
        raise UserError(f"{error}; once it is back, {again}.") from error


def talk(options: argparse.Namespace, experiment: Path, given: dict[str, Any]) -> int:
    """Do it over a line that may break."""
    study = read_study(experiment, given)
    file = read_launcher_file(options.cluster, whole=not (options.attach or options.cost))
    head = Line(options.cluster, file.checkout())
    folder = f"{options.shared or file.results()}/{study.name}"
    if options.cost:
        price = study.resources.price_per_hour
        asked = [] if price is None else ["--price", str(price)]
        head.ask("cost", *asked, folder)
        return 0
    if not options.attach:
        check_place(options.output / study.name, options.resume)
        words = search_words(options, file, study)
        head.ask("start", *checks(file), study.name, folder, *words)
    return follow(head, study.name, options.output / study.name, options)


def checks(file: LauncherFile) -> list[str]:
    """What the head compares before it starts anything."""
    return ["--ray", version("ray"), "--code", code_hash(), "--machines", str(file.machines())]


def check_place(root: Path, resume: bool) -> None:
    """Whether results may come here at the end.

    Raises:
        UserError: another study's are here.
    """
    if root.exists() and not resume:
        raise UserError(f"{root}: stands here already; --resume that study or give a --name.")


def search_words(options: argparse.Namespace, file: LauncherFile, study: Study) -> list[str]:
    """The arguments of search/run.py on the head.

    Raises:
        UserError: a path that the cluster does not get, or a trial for which it has no room.
    """
    words = ["--address", "auto", "--yes", *file.places(options, study)]
    stored = options.resume and options.experiment is None  # the study there has its own
    for field, value in {} if stored else file.room(study).items():
        words += ["--set", f"{field}={value}"]
    for name in FORWARDED:
        value, option = getattr(options, name), f"--{name.replace('_', '-')}"
        if value is True:
            words.append(option)
        elif value is not None and value is not False and value != "":  # 0 is a seed
            words += [option, str(value)]
    for text in options.set:
        words += ["--set", text]
    for earlier in options.warm_start:
        words += ["--warm-start", file.there(earlier, "--warm-start")]
    if options.data is not None:
        words += ["--data", file.there(Path(options.data), "--data")]
    if options.experiment is not None:
        words.append(file.there(options.experiment, "the experiment"))
    return words


def follow(head: Line, name: str, root: Path, options: argparse.Namespace) -> int:
    """Print what the search prints and bring its results here at the end."""
    again = f"python search/run.py --cluster {options.cluster} --name {name} --attach"
    try:
        end = head.ask("follow", name)
    except KeyboardInterrupt:
        print(f"\nthe search goes on over there: {again}\n{head.stop_with()}")
        raise  # Ctrl-C and SIGTERM have a status each
    except ConnectionError as error:
        raise UserError(f"{error}; if the head is up the search goes on there: {again}") from error
    if end["status"] and not end["said"].startswith("Job entrypoint command failed"):
        print(f"the search ended: {end['said']}")
    bring_back(head, end["folder"], root)
    return int(end["status"])


def bring_back(head: Line, folder: str, root: Path) -> None:
    """Put a study's folder here, without checkpoints.

    Raises:
        UserError: something else is here, or what came is no study.
    """
    packed = head.ask("pack", folder)["file"]
    if not packed:
        return  # it never began
    root = root.resolve()  # its folder may lie on another disk
    new = root.with_name(f".{root.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    try:
        head.fetch(packed, new / "packed.tar")
        with tarfile.open(new / "packed.tar") as study:
            study.extractall(new, filter="data")
        (new / "packed.tar").unlink()
        check_same(head, folder, new, root)
        put_in_place(new, root)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    print(f"brought back to {root}; ray down {shlex.quote(str(head.file))} ends the machines")


def check_same(head: Line, folder: str, new: Path, root: Path) -> None:
    """Whether what came may stand in the place of what is here.

    Raises:
        UserError: it is no study, or here is something else than an older state of it.
    """
    if not (new / "study.yaml").is_file():
        raise UserError(f"{head.file}: {folder} holds no study there, so nothing was brought back.")
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return
    if not (root / "study.yaml").is_file():
        raise UserError(f"{root}: holds files that are no study; --attach with another --output.")
    if key_of(root) != key_of(new):
        raise UserError(f"{root}: another study stands here; --attach with another --output.")


def put_in_place(new: Path, root: Path) -> None:
    """Let a folder take the place of another; whenever this breaks off, one of them is whole."""
    old = root.with_name(f".{root.name}.old")
    if root.exists():
        shutil.rmtree(old, ignore_errors=True)
        root.rename(old)
    new.rename(root)
    shutil.rmtree(old, ignore_errors=True)
