"""`ray up cluster.yaml` itself, against an EC2 that boots machines here; for test_aws.py."""

import csv
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from fake_ec2 import REACH, Cloud
from laptop import (
    FOLDER,
    PROGRAMS,
    RESULTS,
    ROOT,
    bring_up,
    count,
    end,
    run,
    search,
    unknown_listeners,
    wait_until,
    wait_while,
)
from machines import Machine, Machines

pytestmark = pytest.mark.timeout(1200)

FILE, STORAGE = FOLDER / "cluster.yaml", "s3://bucket/muse"
ENVIRONMENT = "; ".join(f"export {name}={value}" for name, value in REACH.items())
USER = 12345  # that nobody has on this host
SEARCH = (
    *("--trials", "3", "--epochs", "6", "--phases", "search", "--storage", STORAGE),
    *("--set", "scheduler.name=none", "--set", "resources.concurrent=2"),
    *("--set", "resources.gpus_per_worker=0", "--set", "resources.custom={slot: 1}"),
)
BOOT = f"""chmod 755 root
echo 'ubuntu:x:{USER}:{USER}::/home/ubuntu:/bin/bash' >> etc/passwd
echo 'ubuntu:x:{USER}:' >> etc/group
echo 'ubuntu:*:19000:0:99999:7:::' >> etc/shadow
mkdir -p home/ubuntu
cp root/.profile root/.bashrc home/ubuntu/
echo '{ENVIRONMENT}' >> home/ubuntu/.bashrc
ln -s {PROGRAMS.parent} home/ubuntu/venv
chown -R {USER}:{USER} home/ubuntu"""
"""What image and set-up commands would bring, and the way to this AWS."""


def fill_in(cloud: Cloud) -> None:
    """The shipped file with the values of this AWS; the machines have all that is installed."""
    content = yaml.safe_load((ROOT / "cluster.yaml").read_text(encoding="utf-8"))
    image = cloud.ec2.describe_images()["Images"][0]["ImageId"]
    group = cloud.ec2.create_security_group(GroupName="own", Description="own")["GroupId"]
    cloud.client("iam").create_instance_profile(InstanceProfileName="muse-search")
    cloud.client("s3").create_bucket(Bucket="bucket")
    cloud.ec2.import_key_pair(KeyName="muse", PublicKeyMaterial=(FOLDER / "key.pub").read_bytes())
    content["auth"]["ssh_private_key"] = str(FOLDER / "key")
    content["idle_timeout_minutes"] = 0.2
    for node in content["available_node_types"].values():
        node["node_config"].update(ImageId=image, SecurityGroupIds=[group])
        if node["resources"].get("GPU"):
            node["resources"]["slot"] = 1  # a trial cannot have a GPU where there is none
    del content["file_mounts"]["~/data"]  # the quickstart makes its own
    lacking = ("apt-get", "pip install")
    for place in ("setup_commands", "head_setup_commands"):
        kept = [line for line in content[place] if not any(word in line for word in lacking)]
        content[place] = [*kept, "true || pip install 'ray[default]==2.60.0'"]
    FILE.write_text(yaml.safe_dump(content), encoding="utf-8")


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    (FOLDER / ".ssh").mkdir()
    below = Path(sys.prefix)  # may lie in /tmp, of which the machines see only what they are told
    with Machines(FOLDER, [PROGRAMS.parent, below], BOOT) as machines, Cloud(machines) as made:
        fill_in(made)
        run("ray", "get-auth-token", "--generate")
        bring_up(FILE, **REACH)
        yield made


def head(cloud: Cloud) -> Machine:
    return cloud.booted[cloud.running("head")[0]]


def ledger(cloud: Cloud) -> Path:
    """The ledger as the bucket has it."""
    file = FOLDER / "ledger.db"
    found = cloud.client("s3").list_objects_v2(Bucket="bucket", Prefix="muse/quickstart/ledger.db")
    if found["KeyCount"]:
        cloud.client("s3").download_file("bucket", "muse/quickstart/ledger.db", str(file))
    return file


def epochs(cloud: Cloud) -> int:
    return count(ledger(cloud), "reports")


def test_no_machine_runs_before_there_are_trials(cloud: Cloud) -> None:
    assert [cloud.kind(one) for one in cloud.instances.values()] == ["head"]


def test_a_bucket_that_cannot_be_written_is_one_line(cloud: Cloud) -> None:
    words = ("--storage", "s3://nobodys/muse", "--name", "nowhere", *SEARCH[:2])
    said = end(search(FILE, *words, **REACH), status=2)
    assert "error: --storage s3://nobodys/muse/nowhere: cannot be written" in said
    assert not (RESULTS / "nowhere").exists()


def test_a_search_outlives_a_spot_machine_and_then_its_head(cloud: Cloud) -> None:
    laptop = search(FILE, *SEARCH, **REACH)
    wait_while(laptop, lambda: epochs(cloud) >= 2, "two epochs")
    spot = cloud.running("gpuspot")
    cloud.take_away(spot[0])
    before = epochs(cloud)
    wait_while(laptop, lambda: len(cloud.running("gpuspot")) >= len(spot), "another spot machine")
    wait_while(laptop, lambda: epochs(cloud) >= before + 2, "two epochs more")
    cloud.take_away(cloud.running("head")[0])
    said = end(laptop, status=2)
    assert "the connection was lost" in said
    assert said.splitlines()[-1].endswith("--attach")

    bring_up(FILE, **REACH)
    printed = end(search(FILE, *SEARCH, "--resume", **REACH), seconds=400)
    with (RESULTS / "quickstart" / "trials.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["state"] for row in rows] == ["completed"] * 3, printed
    assert count(RESULTS / "quickstart" / "ledger.db", "reports") == 3 * 6  # each epoch once
    assert {row["node"].rstrip("0123456789") for row in rows} == {"gpuspot"}
    assert (RESULTS / "quickstart" / "best" / "model.safetensors").exists()


def test_no_secret_stands_in_what_comes_back(cloud: Cloud) -> None:
    secrets = (REACH["AWS_SECRET_ACCESS_KEY"], (FOLDER / ".ray" / "auth_token").read_text().strip())
    for file in RESULTS.rglob("*"):
        if file.is_file():
            text = file.read_bytes()
            assert not any(secret.encode() in text for secret in secrets), file


def test_nothing_listens_that_the_document_does_not_name(cloud: Cloud) -> None:
    for kind in ("head", "gpuspot"):
        for machine in (cloud.booted[identity] for identity in cloud.running(kind)):
            wait_until(lambda m=machine: not unknown_listeners(m), f"silence on {machine.name}", 60)


def test_idle_machines_go(cloud: Cloud) -> None:
    wait_until(lambda: not cloud.running("gpu"), "no worker that idles")
    assert len(cloud.running("head")) == 1


def test_without_the_token_nobody_may_run_anything(cloud: Cloud) -> None:
    join = "import ray; ray.init(address='auto', logging_level='ERROR')"
    process = head(cloud).start(
        "env", "RAY_AUTH_MODE=disabled", str(PROGRAMS / "python"), "-c", join
    )
    output = process.communicate(timeout=120)[0]
    assert process.returncode != 0
    assert "token" in output.lower()


def test_ray_down_leaves_nothing(cloud: Cloud) -> None:
    run("ray", "down", "-y", str(FILE), **REACH)
    wait_until(lambda: not cloud.running(), "no instance")
