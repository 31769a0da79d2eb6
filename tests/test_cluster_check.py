"""A mistake in a cluster file is found without any cloud, and the files that we ship have none."""

import re
import socket
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from packaging.version import Version

from search.cluster_check import __main__ as command
from search.cluster_check import aws, launcher
from search.cluster_check.cluster_file import MARK, asked_ray, is_allowed, read

ROOT = Path(__file__).parents[1]
AWS, LOCAL, RAYJOB = "cluster.yaml", "clusters/local.yaml", "clusters/kuberay.yaml"
SHIPPED = (AWS, LOCAL, RAYJOB)

knows_ec2 = pytest.mark.skipif(
    not aws.can_check_nodes(), reason="boto3 and moto[ec2] are not installed"
)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the check asked the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def changed(file: str, old: str, new: str, folder: Path) -> Path:
    """A shipped file with one change."""
    text = (ROOT / file).read_text(encoding="utf-8")
    assert old in text
    copy = folder / Path(file).name
    copy.write_text(text.replace(old, new, 1), encoding="utf-8")
    return copy


def found(file: Path, *, template: bool = True) -> list[str]:
    return list(command.problems(file, template=template))


@pytest.fixture
def with_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A checkout, and a user who has made a token."""
    (tmp_path / "home/.ray").mkdir(parents=True)
    (tmp_path / "home/.ray/auth_token").touch()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(ROOT)


@pytest.mark.usefixtures("with_token")
@pytest.mark.parametrize("file", SHIPPED)
def test_a_shipped_file_has_no_problem_but_what_must_be_filled_in(file: str) -> None:
    assert found(ROOT / file) == []
    marked = [line for line in (ROOT / file).read_text().splitlines() if MARK.search(line)]
    assert marked
    told = [line for line in found(ROOT / file, template=False) if "is still marked" in line]
    assert len(told) == len(marked)


@pytest.mark.usefixtures("with_token")
def test_what_is_filled_in_is_no_problem_and_a_placeholder_without_its_mark_is(
    tmp_path: Path,
) -> None:
    ready = tmp_path / "ready.yaml"
    text = re.sub(" # CHANGE.*", "", (ROOT / LOCAL).read_text())
    text = text.replace("~/data: data", f"~/data: {tmp_path}")
    ready.write_text(text.replace("192.0.2.", "10.0.0."))
    assert found(ready, template=False) == []
    ready.write_text(text)
    assert found(ready, template=False) == [
        "line 10: '192.0.2.1' only holds the place; give your own value",
        "line 11: '192.0.2.1' only holds the place; give your own value",
    ]


def test_what_should_be_brought_to_the_cluster_and_is_not_here_is_told(tmp_path: Path) -> None:
    file = changed(LOCAL, "~/data: data", "~/data: nowhere", tmp_path)
    assert "file_mounts.~/data: there is no 'nowhere' here" in found(file, template=False)


START = "RAY_AUTH_MODE=token ray start"
PORT_22 = "security_group: {IpPermissions: [{FromPort: 22, ToPort: 22, IpProtocol: tcp, %s}]}"


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        # What Ray's schema, or Ray, does not take.
        (AWS, "max_workers: 8", "max_worker: 8", "unknown key 'max_worker'; did you mean 'max_wor"),
        (AWS, "priority: 1", "prioritty: 1", "gpu_spot: unknown key 'prioritty'; did you mean 'pr"),
        (AWS, "max_workers: 8", "max_workers: many", "max_workers: 'many' is not of type 'integer"),
        (AWS, "{CPU: 4, GPU: 1}", "{CPU: 4, GPU: 0.5}", "GPU: 0.5 is not of type 'integer'"),
        (AWS, "head_node_type: head", "head_node_type: haed", "must be one of `available_node_typ"),
        (AWS, "min_workers: 0", "min_workers: 9", "smaller than the sum of `min_workers`"),
        (AWS, "cluster_name: muse", "", "'cluster_name' is a required property"),
        (AWS, "cache_stopped_nodes", "cache_stoped_nodes", "did you mean 'cache_stopped_nodes'?"),
        (AWS, "type: aws", "type: asw", "'asw' is not checked here; did you mean 'aws'?"),
        (AWS, "region: us-east-1", "use_internal_ips: false", "provider.region: is missing"),
        (LOCAL, "head_ip", "haed_ip", "unknown key 'haed_ip'; did you mean 'head_ip'?"),
        (LOCAL, "head_ip: 192.0.2.10", "", "provider.head_ip: is missing"),
        (LOCAL, "auth:", "available_node_types: {a: {resources: {}, node_config: {}}}\nauth:",
         "field available_node_types is not supported for on-premise"),
        # Node types.
        (AWS, "min_workers: 0\n    max_workers: 2", "min_workers: 3\n    max_workers: 2",
         "gpu_on_demand: min_workers 3 is above max_workers 2"),
        (AWS, "      ImageId", "      # ImageId", "gpu_on_demand.node_config: ImageId is missing"),
        (AWS, "      KeyName", "      # KeyName", "gpu_spot.node_config: KeyName is missing"),
        (AWS, "      IamInstance", "      # IamInstance", "head.node_config: IamInstanceProfile i"),
        # The head runs the search, and no trial.
        (AWS, "{CPU: 0, GPU: 0}", "{}", "head.resources: the head could run trials"),
        (AWS, "{CPU: 0, GPU: 0}", "{CPU: 4, GPU: 0}", "head.resources: the head could run trials"),
        (AWS, "      ImageId", "      InstanceMarketOptions: {MarketType: spot}\n      ImageId",
         "AWS may take a spot head away"),
        (LOCAL, " --num-cpus=0", "", "the head could run trials; add --num-cpus=0"),
        (RAYJOB, 'num-cpus: "0"', 'num-cpus: "4"', "headGroupSpec.rayStartParams: the head could"),
        # Who may come in.
        (AWS, "      SecurityGroupIds", "      # ", "a group whose ssh is open to the world"),
        (AWS, "cache_stopped_nodes: false", PORT_22 % "IpRanges: [{CidrIp: 0.0.0.0/0}]",
         "provider.security_group: 0.0.0.0/0 is open to the world"),
        (AWS, "cache_stopped_nodes: false", PORT_22 % "Ipv6Ranges: [{CidrIpv6: '::/0'}]",
         "provider.security_group: ::/0 is open to the world"),
        (AWS, "cache_stopped_nodes: false", PORT_22 % "IpRanges: [{CidrIp: 198.51.100}]",
         "provider.security_group: 198.51.100 is no network"),
        (AWS, "--dashboard-host=127.0.0.1", "--dashboard-host=0.0.0.0", "=0.0.0.0 lets others in"),
        (LOCAL, "--dashboard-host=127.0.0.1", "--dashboard-host 0.0.0.0", "lets others in"),
        (RAYJOB, "rayStartParams: {n", "serviceType: NodePort\n      rayStartParams: {n",
         "serviceType: NodePort lets others in"),
        (RAYJOB, "rayStartParams: {n", "enableIngress: true\n      rayStartParams: {n",
         "enableIngress: true lets others in"),
        # The token.
        (AWS, f"{START} --head", "ray start --head", "head_start_ray_commands: 'ulimit -n 65536;"),
        (AWS, f"{START} --address", "ray start --address", "worker_start_ray_commands: 'ulimit"),
        (LOCAL, f"{START} --address", "ray start --address", "asks for no token"),
        (AWS, "  ~/.ray/auth_token:", "  ~/token:", "file_mounts: without the token"),
        (LOCAL, "chmod 600", "chmod 644", "others may read the token; add 'chmod 600"),
        (RAYJOB, "    authOptions: {mode: token}\n", "", "authOptions: anybody in reach may run c"),
        (RAYJOB, "{mode: token}", "{mode: disabled}", "authOptions: anybody in reach may run code"),
        # Ray's version.
        (AWS, "==2.60.0", "==2.59.0", "Ray 2.59.0, but pyproject.toml asks for 2.60"),
        (LOCAL, "==2.60.0", "", "'ray[default,tune,train]' is any Ray; pin it"),
        (LOCAL, "'ray[default,tune,train]==2.60.0' ", "", "no Ray is installed"),
        (AWS, "    priority: 1",
         "    worker_setup_commands: [pip install ray==2.4]\n    priority: 1",
         "gpu_spot.worker_setup_commands: Ray 2.4, but"),
        (RAYJOB, "rayVersion: 2.60.0", "rayVersion: 2.6.0", "rayVersion: 2.6.0, but pyproject.tom"),
        # The rest of a RayJob.
        (RAYJOB, "kind: RayJob", "kind: RayJobb", "kind: Input should be 'RayJob'"),
        (RAYJOB, "  backoffLimit", "  backofLimit", "spec: unknown key 'backofLimit'; did you mea"),
        (RAYJOB, "mode: token", "mod: token", "authOptions: unknown key 'mod'; did you mean 'mode"),
        (RAYJOB, "minReplicas", "minReplica", "workerGroupSpecs.0: unknown key 'minReplica'; did"),
        (RAYJOB, 'num-cpus: "0"', "num-cpus: 0", "num-cpus: Input should be a valid string, given"),
        (RAYJOB, "maxReplicas: 8", 'maxReplicas: "8"', "should be a valid integer, given '8'"),
        (RAYJOB, "replicas: 0", "replicas: 9", "replicas 9 is not between minReplicas 0 and maxRe"),
        (RAYJOB, "Autoscaling: true", "Autoscaling: false", "no worker would ever start"),
        (RAYJOB, "  entrypoint: >-", "  jobId: >-", "spec.entrypoint: is missing"),
        (RAYJOB, "              image:", "              img:", "containers.0.image: is missing"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line(file: str, old: str, new: str, said: str, tmp_path: Path) -> None:
    problems = found(changed(file, old, new, tmp_path))
    assert any(said in line for line in problems), problems
    assert not any("\n" in line for line in problems)


@knows_ec2
@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("m6i.xlarge", "m6i.xlrge", "head.node_config.InstanceType: there is no 'm6i.xlrge' in us"),
        ("region: us-east-1", "region: us-esat-1", "AWS has no 'us-esat-1'; did you mean"),
        ("ImageId", "ImageID", "node_config: unknown key 'ImageID'; did you mean 'ImageId'?"),
        ("VolumeSize", "VolumSize", "Ebs: unknown key 'VolumSize'; did you mean 'VolumeSize'?"),
        ("VolumeSize: 200", "VolumeSize: big", "Ebs.VolumeSize, value: big"),
        ("{CPU: 4, GPU: 1}", "{CPU: 4, GPU: 4}", "gpu_spot.resources: GPU 4, but a g5.xlarge has"),
        ("{CPU: 4, GPU: 1}", "{CPU: 16, GPU: 1}", "CPU 16, but a g5.xlarge has 4"),
    ],
)  # fmt: skip
def test_a_mistake_in_what_ec2_is_asked_for_is_found(
    old: str, new: str, said: str, tmp_path: Path
) -> None:
    problems = found(changed(AWS, old, new, tmp_path))
    assert any(said in line for line in problems), problems


@knows_ec2
@pytest.mark.parametrize(("own_group", "let_in"), [(True, "198.51.100.7/32"), (False, "0.0.0.0/0")])
def test_ray_leaves_ssh_as_it_is_in_a_group_of_ones_own_alone(own_group: bool, let_in: str) -> None:
    """Why every node type must name a group: rules in `provider.security_group` do not help."""
    import boto3
    from moto import mock_aws
    from ray.autoscaler._private.aws.config import bootstrap_aws

    rule = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22}
    rule["IpRanges"] = [{"CidrIp": "198.51.100.7/32"}]
    cluster = launcher.filled(read(ROOT / AWS)[1], StringIO())
    cluster["provider"]["security_group"] = {"GroupName": "ours", "IpPermissions": [rule]}
    with mock_aws():
        ec2 = boto3.resource("ec2", region_name="us-east-1")
        group = ec2.create_security_group(GroupName="own", Description="own")
        group.authorize_ingress(IpPermissions=[rule])
        for node in cluster["available_node_types"].values():
            del node["node_config"]["SecurityGroupIds"]
            if own_group:
                node["node_config"]["SecurityGroupIds"] = [group.id]
        head = bootstrap_aws(cluster)["available_node_types"]["head"]["node_config"]
        opened = ec2.SecurityGroup(head["SecurityGroupIds"][0]).ip_permissions
    ssh = [one for one in opened if one.get("FromPort") == 22]
    assert let_in in [entry["CidrIp"] for one in ssh for entry in one["IpRanges"]]
    assert own_group == (len(ssh[0]["IpRanges"]) == 1)


def test_without_boto3_it_is_said_what_was_not_checked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(aws, "can_check_nodes", lambda: False)
    monkeypatch.setattr(command, "can_check_nodes", lambda: False)
    assert command.main(["--template", str(ROOT / AWS)]) == 0
    assert "not checked: types of instances" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "said"),
    [("- a\n", "holds no mapping"), ("a: [", "no valid YAML"), (None, "cannot be read")],
)
def test_what_is_no_cluster_file_is_one_line(
    text: str | None, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file.yaml"
    if text is not None:
        file.write_text(text)
    assert command.main([str(file)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert said in error


def test_a_problem_is_exit_status_1_and_nothing_waits_for_torch() -> None:
    code = (
        "import sys; from search.cluster_check.__main__ import main; status = main(sys.argv[1:]);"
        "assert 'torch' not in sys.modules; sys.exit(status)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, LOCAL], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 1, run.stderr
    assert all(line.startswith(f"{LOCAL}, ") for line in run.stdout.splitlines())


@pytest.mark.parametrize(
    ("given", "allowed"), [("2.60.0", True), ("2.61.1", True), ("2.6.0", False), ("latest", False)]
)
def test_a_newer_ray_is_allowed_as_it_is_here(given: str, allowed: bool) -> None:
    assert is_allowed(given, Version("2.60")) == allowed


def test_the_image_for_kubernetes_has_the_ray_that_the_project_asks_for() -> None:
    image = re.search(
        r"^FROM rayproject/ray:([\d.]+)-", (ROOT / "clusters/Dockerfile").read_text(), re.M
    )
    assert image is not None
    assert is_allowed(image[1], asked_ray())
