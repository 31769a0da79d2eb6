"""An EC2 (moto's server) whose instances boot machines out of namespaces, and an S3 beside it.

moto invents public addresses that belong to others, so this runs only where no packet can leave.
"""

import os
import threading
from types import TracebackType
from typing import Any, Self

os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"  # Ray asks for some; read at the import
os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"  # takes seconds, and nobody asks for them

import boto3
from machines import GATEWAY, Machine, Machines
from moto.ec2.models.instance_types import InstanceTypeBackend
from moto.server import ThreadedMotoServer

PORT, REGION = 5577, "us-east-1"
REACH = {
    "AWS_ENDPOINT_URL": f"http://{GATEWAY}:{PORT}",
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test-secret-of-the-story",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""An environment in which AWS is this one."""

InstanceTypeBackend.instance_types = [  # Ray asks for all 1400 at every turn, seconds each time
    kind for kind in InstanceTypeBackend.instance_types if kind.name in {"m6i.xlarge", "g5.xlarge"}
]

LIVE = {"pending", "running"}


class Cloud:
    """EC2 and S3. Use it in a `with`, inside that of its machines."""

    def __init__(self, machines: Machines) -> None:
        """Nothing is started yet."""
        self.machines = machines
        self.booted: dict[str, Machine] = {}
        """By the instances' ids, those that are gone as well."""
        self.instances: dict[str, dict[str, Any]] = {}
        """What EC2 says of them."""
        self.over = threading.Event()

    def __enter__(self) -> Self:
        self.server = ThreadedMotoServer(GATEWAY, PORT, verbose=False)
        self.server.start()
        self.ec2, self.s3 = self.client("ec2"), self.client("s3")
        self.watcher = threading.Thread(target=self.watch, daemon=True)
        self.watcher.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.over.set()
        self.watcher.join()
        self.server.stop()

    def client(self, service: str) -> Any:
        """A client of one of its services."""
        return boto3.client(
            service,
            region_name=REGION,
            endpoint_url=REACH["AWS_ENDPOINT_URL"],
            aws_access_key_id=REACH["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=REACH["AWS_SECRET_ACCESS_KEY"],
        )

    def watch(self) -> None:
        """Boot and destroy machines as EC2 says."""
        while not self.over.wait(1):
            self.look()

    def look(self) -> None:
        """Look once."""
        found = self.ec2.describe_instances()["Reservations"]
        for one in (one for group in found for one in group["Instances"]):
            identity, live = one["InstanceId"], one["State"]["Name"] in LIVE
            if live and identity not in self.booted:
                addresses = [one["PrivateIpAddress"], one["PublicIpAddress"]]
                name = f"{self.kind(one)}{len(self.booted)}"
                self.booted[identity] = self.machines.boot(name, addresses)
            elif not live and identity in self.booted:
                self.booted[identity].destroy()
            self.instances[identity] = one

    @staticmethod
    def kind(instance: dict[str, Any]) -> str:
        """What Ray's node type an instance is of, as a machine may be called."""
        tags = {tag["Key"]: tag["Value"] for tag in instance["Tags"]}
        return str(tags["ray-user-node-type"]).replace("_", "")

    def running(self, kind: str = "") -> list[str]:
        """Ids of the instances that run now, of one type or of all."""
        return [
            identity
            for identity, one in list(self.instances.items())
            if one["State"]["Name"] in LIVE and self.kind(one).startswith(kind)
        ]

    def take_away(self, name: str) -> None:
        """End the instance that is a machine, as AWS does with spot ones; returns when it is off.

        Args:
            name: of the machine.
        """
        found = {machine.name: identity for identity, machine in self.booted.items()}[name]
        self.ec2.terminate_instances(InstanceIds=[found])
        self.booted[found].process.wait()
