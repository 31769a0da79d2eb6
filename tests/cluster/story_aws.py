"""`ray up cluster.yaml` itself, against an EC2 that boots machines here; for test_stories.py."""

import io
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
    ask,
    bring_up,
    count,
    end,
    run,
    search,
    trials,
    unknown_listeners,
    wait_until,
    wait_while,
)
from machines import Machine, Machines

pytestmark = pytest.mark.timeout(600)

FILE, STORAGE = FOLDER / "cluster.yaml", "s3://bucket/muse"
ENVIRONMENT = "; ".join(f"export {name}={value}" for name, value in REACH.items())
USER = 12345  # that nobody has on this host
TRIALS, EPOCHS = 2, 20
FIRST, STATE = "search-0000", "muse/quickstart/trials/search-0000/last.pt"
KEEP_ALL = {"Status": "Enabled"}
SEARCH = (
    *("--trials", str(TRIALS), "--epochs", str(EPOCHS), "--limit", "64", "--phases", "search"),
    *("--storage", STORAGE, "--set", "scheduler.name=none", "--set", "resources.concurrent=2"),
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
    group = cloud.ec2.create_security_group(GroupName="own", Description="own")["GroupId"]
    cloud.client("iam").create_instance_profile(InstanceProfileName="muse-search")
    cloud.s3.create_bucket(Bucket="bucket")
    cloud.s3.put_bucket_versioning(Bucket="bucket", VersioningConfiguration=KEEP_ALL)
    cloud.ec2.import_key_pair(KeyName="muse", PublicKeyMaterial=(FOLDER / "key.pub").read_bytes())
    content["auth"]["ssh_private_key"] = str(FOLDER / "key")
    content["idle_timeout_minutes"] = 0.2
    for node in content["available_node_types"].values():
        node["node_config"].update(ImageId="ami-0123456789abcdef0", SecurityGroupIds=[group])
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


def node_of_first(cloud: Cloud) -> str:
    """Where the first trial ran last, as the ledger in the bucket says."""
    file = FOLDER / "ledger.db"
    cloud.s3.download_file("bucket", "muse/quickstart/ledger.db", str(file))
    return str(ask(file, f"select node from trials where trial_id = '{FIRST}'")[0][0])


def states_of_first(cloud: Cloud) -> list[str]:
    """All states to go on from that the first trial has put into the bucket, in their order."""
    found = cloud.s3.list_object_versions(Bucket="bucket", Prefix=STATE)
    return [one["VersionId"] for one in reversed(found.get("Versions", []))]


def epoch_of(cloud: Cloud, state: str) -> int:
    """After which epoch the first trial put a state into the bucket."""
    import torch  # takes seconds, so not while machines start

    stream = cloud.s3.get_object(Bucket="bucket", Key=STATE, VersionId=state)["Body"]
    return len(torch.load(io.BytesIO(stream.read()), weights_only=True)["reports"])


def test_no_machine_runs_before_there_are_trials(cloud: Cloud) -> None:
    assert [cloud.kind(one) for one in cloud.instances.values()] == ["head"]


def test_a_trial_goes_on_elsewhere_when_its_spot_machine_and_then_the_head_are_lost(
    cloud: Cloud,
) -> None:
    laptop = search(FILE, *SEARCH, **REACH)
    wait_while(laptop, lambda: len(states_of_first(cloud)) >= 2, "two epochs of the first trial")
    node = node_of_first(cloud)
    cloud.take_away(node)
    before = states_of_first(cloud)
    wait_while(laptop, lambda: node_of_first(cloud) != node, "an epoch of it elsewhere")
    # Its state follows beside the training.
    wait_while(laptop, lambda: len(states_of_first(cloud)) > len(before), "a state from there")
    cloud.take_away(head(cloud).name)
    said = end(laptop, status=2)
    assert "the connection was lost" in said
    assert said.splitlines()[-1].endswith("--attach")

    bring_up(FILE, **REACH)
    rest = ("--resume", "--set", "resources.concurrent=1")  # of two trials one is left
    printed = end(search(FILE, *SEARCH, *rest, **REACH))
    rows = trials()
    assert [row["state"] for row in rows] == ["completed"] * TRIALS, printed
    assert {row["node"].rstrip("0123456789") for row in rows} == {"gpuspot"}
    assert (RESULTS / "quickstart" / "best" / "model.safetensors").exists()

    assert rows[0]["attempts"] == "3"
    assert count(RESULTS / "quickstart" / "ledger.db", "reports") == TRIALS * EPOCHS
    trained = [epoch_of(cloud, state) for state in states_of_first(cloud)]
    # None anew, and the last leaves none; one may be missing where the bucket was slow.
    assert trained == sorted(set(trained))
    assert trained[-1] < EPOCHS


def test_no_secret_stands_in_what_comes_back_or_in_the_logs(cloud: Cloud) -> None:
    secrets = (REACH["AWS_SECRET_ACCESS_KEY"], (FOLDER / ".ray" / "auth_token").read_text().strip())
    for file in RESULTS.rglob("*"):
        if file.is_file():
            text = file.read_bytes()
            assert not any(secret.encode() in text for secret in secrets), file
    for secret in secrets:
        assert head(cloud).run("bash", "-c", f"grep -rlF {secret} /tmp/ray || true") == ""


def test_nothing_listens_that_the_document_does_not_name(cloud: Cloud) -> None:
    wait_until(lambda: not unknown_listeners(head(cloud)), "silence on the head")


def test_idle_machines_go(cloud: Cloud) -> None:
    wait_until(lambda: not cloud.running("gpu"), "no worker that idles")
    assert len(cloud.running("head")) == 1


def test_ray_down_leaves_nothing(cloud: Cloud) -> None:
    run("ray", "down", "-y", str(FILE), **REACH)
    wait_until(lambda: not cloud.running(), "no instance")
