"""A file of `ray up` as a search sees it: which paths it brings, and how many trials fit."""

import argparse
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any

import search
from muse.errors import UserError
from search.room import each_worker, gpus_per_worker, workers_on
from search.study import Study

SHARED = "/mnt/shared/results"
"""Where own machines keep studies: clusters/local.yaml refuses machines without that disk."""


@dataclass(frozen=True)
class LauncherFile:
    """Its content, with Ray's own defaults."""

    file: Path
    content: dict[str, Any]

    @property
    def grows(self) -> bool:
        """Whether machines come as they are needed."""
        return bool(self.content["provider"]["type"] != "local")

    def there(self, path: Path, what: str) -> str:
        """Where a path of this machine is on the cluster.

        Raises:
            UserError: the file does not bring it there.
        """
        wanted = path.expanduser().resolve()
        brought = {
            there: Path(str(here)).expanduser().resolve()
            for there, here in self.content["file_mounts"].items()
        }
        for there, here in brought.items():
            if wanted.is_relative_to(here):
                return str(Path(there) / wanted.relative_to(here))
        known = ", ".join(str(here) for here in brought.values() if here.is_dir())
        raise UserError(
            f"{self.file}, file_mounts: {what}, {path}, does not come to the cluster; "
            f"put it below one of {known}, or add its folder."
        )

    def checkout(self) -> str:
        """Folder of this code on the cluster."""
        return str(Path(self.there(Path(search.__file__).parent, "this code")).parent)

    def results(self) -> str:
        """Folder of the studies on the head."""
        return f"{self.checkout()}/results" if self.grows else SHARED

    def places(self, options: argparse.Namespace, study: Study) -> list[str]:
        """Options of the search that say where it keeps what.

        Raises:
            UserError: the machines share nothing.
        """
        if self.grows and not options.storage and not options.shared:
            raise UserError(
                f"{self.file}: its machines share no disk; give --storage s3://BUCKET/FOLDER, or "
                "--shared DIR where all of them mount one."
            )
        words = ["--output", options.shared or self.results()]
        on_shared_disk = bool(options.shared) or not self.grows
        if on_shared_disk and not options.ledger:  # SQLite wants a disk of the head's own
            words += ["--ledger", f"sqlite:///~/{study.name}.db"]
        return words

    def machines(self) -> int:
        """Workers that join by themselves."""
        return 0 if self.grows else len(self.content["provider"]["worker_ips"])

    def workers(self) -> dict[str, dict[str, float]]:
        """What a machine of each type has that runs trials."""
        types = self.content["available_node_types"]
        return {
            name: node.get("resources", {})
            for name, node in types.items()
            if name != self.content["head_node_type"] and node.get("max_workers", 1)
        }

    def room(self, study: Study) -> dict[str, float]:
        """Fields of the study that follow from what the cluster may grow to.

        Raises:
            UserError: no machine has room for a worker of a trial.
        """
        if not self.grows:
            return {}
        asked, has = study.resources, self.workers()
        gpus = gpus_per_worker(study, list(has.values()))
        wants = each_worker(study, gpus)
        fits = {name: workers_on(node, wants) for name, node in has.items()}
        if not any(fits.values()):
            raise UserError(
                f"{self.file}: a worker wants {told(wants)}, but no machine of it has that "
                f"({'; '.join(f'{name}: {told(node)}' for name, node in has.items())})."
            )
        found: dict[str, float] = {}
        if asked.gpus_per_worker is None:
            found["resources.gpus_per_worker"] = gpus
        if asked.concurrent is None:
            found["resources.concurrent"] = max(1, self.slots(fits) // asked.workers)
        return found

    def slots(self, fits: dict[str, int]) -> int:
        """Workers of trials for which the whole cluster has room, the best machines first.

        Machines on which none fits never come: Ray starts only what somebody asks for.
        """
        types, left, found = self.content["available_node_types"], self.content["max_workers"], 0
        able = [name for name, fit in fits.items() if fit]
        for name in sorted(able, key=lambda name: -types[name].get("priority", 0)):
            count = min(left, types[name].get("max_workers", left))
            found, left = found + count * fits[name], left - count
        return found


def told(resources: dict[str, float]) -> str:
    """Resources in words."""
    return ", ".join(f"{amount:g} {name}" for name, amount in resources.items()) or "nothing"


def read_launcher_file(file: Path, *, whole: bool = True) -> LauncherFile:
    """Read and check a file, and what its use needs here.

    Args:
        file: a file of `ray up`.
        whole: check all of it, which takes seconds; a cluster that is up was checked.

    Raises:
        UserError: something is wrong with it, or a package is missing.
    """
    from search.cluster_check.__main__ import problems  # noqa: PLC0415 - it brings Ray
    from search.cluster_check.cluster_file import read  # noqa: PLC0415
    from search.cluster_check.launcher import filled  # noqa: PLC0415

    content = read(file)[1]
    if "kind" in content:
        raise UserError(f"{file}: is for Kubernetes; kubectl apply -f {file} searches.")
    wrong = next(problems(file, template=False), "") if whole else ""
    if wrong:
        raise UserError(f"{file}, {wrong} (make cluster-check FILES={file} tells all)")
    if content["provider"]["type"] == "aws" and find_spec("boto3") is None:
        raise UserError(f"{file}: is for AWS; pip install 'ray[default]=={version('ray')}' boto3")
    return LauncherFile(file, filled(content, StringIO()))
