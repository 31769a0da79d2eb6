"""What is wrong with a file for `ray up`, whatever its nodes are."""

import json
import logging
import re
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from copy import deepcopy
from io import StringIO
from pathlib import Path
from typing import Any

import jsonschema
import ray.autoscaler
from packaging.version import Version
from ray.autoscaler._private.util import prepare_config, validate_config

from search.cluster_check import aws
from search.cluster_check.cluster_file import is_allowed
from search.problems import at, did_you_mean

Cluster = dict[str, Any]

PROVIDERS = {
    "aws": {
        *("type", "region", "availability_zone", "cache_stopped_nodes", "use_internal_ips"),
        *("security_group", "key_pair", "aws_credentials", "cloudwatch"),
    },
    "local": {
        *("type", "head_ip", "worker_ips", "external_head_ip", "use_internal_ips"),
        "coordinator_address",
    },
}
"""Keys that Ray reads of each provider; it says nothing of others."""

NEEDED = {"aws": {"region"}, "local": {"head_ip", "worker_ips"}}
STARTS = ("head_start_ray_commands", "worker_start_ray_commands")
SETUPS = ("head_setup_commands", "worker_setup_commands")
TOKEN = "~/.ray/auth_token"
HERE = {"127.0.0.1", "localhost", "::1"}
RAY = re.compile(r"\bray(?:\[[^\]]*\])?\s*==\s*(?P<version>[\w.]+)|\bray\[[^\]]*\]")


def problems(cluster: Cluster, asked: Version) -> Iterator[str]:
    """All that is wrong.

    Args:
        cluster: the file's content.
        asked: the Ray that the project asks for.
    """
    refused = list(schema_problems(cluster)) or list(provider_problems(cluster))
    refused = refused or list(ray_refuses(cluster))
    yield from refused
    if refused:
        return  # the rest reads what is not there, or not as it should be
    prepared = filled(cluster, StringIO())
    yield from start_problems(prepared)
    yield from token_problems(prepared)
    yield from version_problems(prepared, asked)
    if cluster["provider"]["type"] == "aws":
        yield from aws.problems(prepared)
    else:
        yield from head_problems(prepared)


def schema_problems(cluster: Cluster) -> Iterator[str]:
    """What Ray's own schema does not allow."""
    file = Path(ray.autoscaler.__file__).with_name("ray-schema.json")
    schema = json.loads(file.read_text(encoding="utf-8"))
    for error in jsonschema.Draft7Validator(schema).iter_errors(cluster):
        keys = [str(key) for key in error.absolute_path]
        if error.validator == "additionalProperties":
            known = error.schema["properties"]
            for key in error.instance.keys() - known.keys():
                yield at("", keys, f"unknown key '{key}'; {did_you_mean(str(key), known)}")
        else:
            yield at("", keys, error.message)


def provider_problems(cluster: Cluster) -> Iterator[str]:
    """Keys of the provider that are misspelt or missing, which Ray does not tell."""
    given = cluster["provider"]
    kind = given["type"]
    if kind not in PROVIDERS:
        yield f"provider.type: '{kind}' is not checked here; {did_you_mean(kind, PROVIDERS)}"
        return
    for key in sorted(given.keys() - PROVIDERS[kind]):
        yield f"provider: unknown key '{key}'; {did_you_mean(key, PROVIDERS[kind])}"
    for key in sorted(NEEDED[kind] - given.keys()):
        yield f"provider.{key}: is missing"


def ray_refuses(cluster: Cluster) -> Iterator[str]:
    """What Ray itself refuses when it reads the file."""
    said = StringIO()
    try:
        validate_config(filled(cluster, said))
    except Exception as error:  # of several kinds, and each is a mistake in the file
        reason = " ".join((said.getvalue() if "None" in str(error) else str(error)).split())
        yield f"Ray refuses it: {reason}"


def filled(cluster: Cluster, said: StringIO) -> Cluster:
    """The file with Ray's own defaults; what Ray tells on the way goes to `said`."""
    logging.getLogger("ray.autoscaler").setLevel(logging.ERROR)
    with redirect_stdout(said), redirect_stderr(said):
        prepared: Cluster = prepare_config(deepcopy(cluster))
    return prepared


def start_problems(cluster: Cluster) -> Iterator[str]:
    """Commands that start Ray without a token, or show its dashboard to others."""
    for place in STARTS:
        for command in cluster[place]:
            if "ray start" not in command:
                continue
            if "RAY_AUTH_MODE=token" not in command:
                yield f"{place}: '{command}' asks for no token; begin it with RAY_AUTH_MODE=token"
            shown = re.search(r"--dashboard-host[= ](\S+)", command)
            if shown and shown[1] not in HERE:
                yield f"{place}: --dashboard-host={shown[1]} lets others in; give 127.0.0.1"


def token_problems(cluster: Cluster) -> Iterator[str]:
    """A token that does not reach the nodes, or that others there could read."""
    if TOKEN not in cluster["file_mounts"]:
        yield f"file_mounts: without the token no node may join; add '{TOKEN}: {TOKEN}'"
    for place in SETUPS:
        if not any("chmod 600" in line and TOKEN in line for line in cluster[place]):
            yield f"setup_commands: others may read the token; add 'chmod 600 {TOKEN}'"
            return


def version_problems(cluster: Cluster, asked: Version) -> Iterator[str]:
    """Nodes whose Ray is another than the project's."""
    own = {
        f"available_node_types.{name}.worker_setup_commands": node["worker_setup_commands"]
        for name, node in cluster["available_node_types"].items()
        if "worker_setup_commands" in node
    }
    for place, commands in {**{place: cluster[place] for place in SETUPS}, **own}.items():
        found = list(RAY.finditer("\n".join(commands)))
        if not found:
            yield f"{place}: no Ray is installed; add pip install 'ray[default]=={asked}.0'"
        for one in found:
            given = one["version"]
            if given is None:
                yield f"{place}: '{one[0]}' is any Ray; pin it, as in {one[0]}=={asked}.0"
            elif not is_allowed(given, asked):
                yield f"{place}: Ray {given}, but pyproject.toml asks for {asked} or newer"


def head_problems(cluster: Cluster) -> Iterator[str]:
    """A head of one's own machines that could run trials: Ray counts its cores unless told."""
    for command in cluster["head_start_ray_commands"]:
        if "ray start" in command and not re.search(r"--num-cpus[= ]0\b", command):
            yield "head_start_ray_commands: the head could run trials; add --num-cpus=0"
