"""What is wrong with the nodes of a `ray up` file for AWS, told without asking AWS.

boto3 knows the keys of a node, moto the types of instances; neither is asked over a network.
"""

import re
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from ipaddress import ip_network
from typing import Any

from search.problems import did_you_mean

NAMED = {
    "ImageId": "Ray would take an old image of its own",
    "KeyName": "the head could not log in",
    "IamInstanceProfile": "the node could reach nothing of yours on AWS",
    "SecurityGroupIds": "Ray would make a group whose ssh is open to the world",
}
"""What every node type must say, and what happens where it does not."""

UNCHECKED = (
    "not checked: types of instances and the keys of node_config; "
    "pip install boto3 'moto[ec2]' to have them checked"
)


def can_check_nodes() -> bool:
    """Whether the packages are there that know EC2."""
    return all(find_spec(name) is not None for name in ("boto3", "moto"))


def problems(cluster: dict[str, Any]) -> Iterator[str]:
    """All that is wrong with the nodes.

    Args:
        cluster: the file's content, with Ray's own defaults.
    """
    region = cluster["provider"]["region"]
    if can_check_nodes() and region not in regions():
        yield f"provider.region: AWS has no '{region}'; {did_you_mean(region, regions())}"
        return
    head = cluster["head_node_type"]
    yield from head_problems(head, cluster["available_node_types"][head])
    yield from group_problems(cluster["provider"].get("security_group", {}))
    for name, node in cluster["available_node_types"].items():
        yield from named_problems(name, node["node_config"])
        if node["min_workers"] > node["max_workers"]:
            yield (
                f"available_node_types.{name}: min_workers {node['min_workers']} is above "
                f"max_workers {node['max_workers']}"
            )
        if can_check_nodes():
            yield from node_problems(name, node, region)


def head_problems(name: str, head: dict[str, Any]) -> Iterator[str]:
    """A head that could run trials or be taken away: the search and its ledger are there."""
    place = f"available_node_types.{name}"
    given = {key: head["resources"].get(key) for key in ("CPU", "GPU")}
    if any(amount != 0 for amount in given.values()):
        yield f"{place}.resources: the head could run trials; give {{CPU: 0, GPU: 0}}"
    if "InstanceMarketOptions" in head["node_config"]:
        yield f"{place}.node_config: AWS may take a spot head away; leave InstanceMarketOptions out"


def group_problems(group: dict[str, Any]) -> Iterator[str]:
    """A rule that lets the whole world in."""
    for rule in group.get("IpPermissions", []):
        given = [entry.get("CidrIp") for entry in rule.get("IpRanges", [])]
        given += [entry.get("CidrIpv6") for entry in rule.get("Ipv6Ranges", [])]
        for network in filter(None, given):
            try:
                length = ip_network(network, strict=False).prefixlen
            except ValueError:
                yield f"provider.security_group: {network} is no network, as in 198.51.100.7/32"
                continue
            if length == 0:
                yield (
                    f"provider.security_group: {network} is open to the world; give the address "
                    "you connect from, as in 198.51.100.7/32"
                )


def named_problems(name: str, config: dict[str, Any]) -> Iterator[str]:
    """What a node type leaves to Ray."""
    for key, otherwise in NAMED.items():
        if not config.get(key):
            yield f"available_node_types.{name}.node_config: {key} is missing; {otherwise}"


def node_problems(name: str, node: dict[str, Any], region: str) -> Iterator[str]:
    """Keys that EC2 does not know, and an instance that is not there or has less than is said."""
    place = f"available_node_types.{name}"
    config = {key: value for key, value in node["node_config"].items() if key != "SubnetIds"}
    for line in parameter_problems(config):
        yield f"{place}.node_config: {line}"
    kind = str(config.get("InstanceType", ""))
    has = instance(kind, region)
    if has is None:
        yield f"{place}.node_config.InstanceType: there is no '{kind}' in {region}"
        return
    for resource, amount in node["resources"].items():
        if amount > has.get(resource, amount):
            yield (
                f"{place}.resources: {resource} {amount}, but a {kind} has {has[resource]}; "
                "trials would wait for ever"
            )


def parameter_problems(config: dict[str, Any]) -> Iterator[str]:
    """What EC2's own description of RunInstances does not allow."""
    from botocore.validate import ParamValidator  # noqa: PLC0415 - need not be installed

    asked = {"MinCount": 1, "MaxCount": 1, **config}  # which Ray adds
    report = ParamValidator().validate(asked, run_instances()).generate_report()
    for line in report.splitlines():
        told = re.match(r'Unknown parameter in (\S+): "(\w+)", must be one of: (.*)', line)
        if told is None:
            yield line
        else:
            inside, key, known = told.groups()
            above = "" if inside == "input" else f"{inside}: "
            yield f"{above}unknown key '{key}'; {did_you_mean(key, known.split(', '))}"


@cache
def run_instances() -> Any:
    """What EC2 can be asked for, as boto3 describes it."""
    import botocore.session  # noqa: PLC0415 - need not be installed

    model = botocore.session.get_session().get_service_model("ec2")
    return model.operation_model("RunInstances").input_shape


@cache
def regions() -> list[str]:
    """The regions that boto3 knows."""
    import boto3  # noqa: PLC0415 - need not be installed

    found: list[str] = boto3.session.Session().get_available_regions("ec2")
    return found


@cache
def instance(kind: str, region: str) -> dict[str, int] | None:
    """CPUs and GPUs of a type of instance, or None where there is no such type."""
    import boto3  # noqa: PLC0415 - need not be installed
    import botocore.exceptions  # noqa: PLC0415
    from moto import mock_aws  # noqa: PLC0415

    with mock_aws():  # answers in this process, from AWS's published list
        try:
            found = boto3.client("ec2", region_name=region).describe_instance_types(
                InstanceTypes=[kind]
            )
        except botocore.exceptions.ClientError:
            return None
    (only,) = found["InstanceTypes"]
    gpus = only.get("GpuInfo", {}).get("Gpus", [])
    return {
        "CPU": only["VCpuInfo"]["DefaultVCpus"],
        "GPU": sum(each["Count"] for each in gpus),
    }
