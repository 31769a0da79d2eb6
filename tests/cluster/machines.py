"""Machines out of namespaces: each its own network, processes, names, and files of its own.

They hang on one bridge inside a network namespace without an uplink, so nothing can leave it. A
machine sees the host's files under its own changes (overlayfs in memory), so it has every program
that the host has, and its own home, /tmp and /dev/shm. Root only.
"""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

NEEDED = ("ip", "unshare", "nsenter", "sshd", "ssh", "ssh-keygen", "rsync", "mount")
SPACES = ("--net", "--mount", "--pid", "--fork", "--uts", "--ipc", "--kill-child")
BRIDGE, GATEWAY = "cluster0", "10.79.0.1"

QUICK = " ".join(
    (
        "AUTOSCALER_UPDATE_INTERVAL_S=2",  # not 5
        "RAY_gcs_rpc_server_reconnect_timeout_s=15",  # not 60: workers follow their head sooner
        "RAY_health_check_period_ms=1000",  # not 3000
        "RAY_health_check_timeout_ms=2000",  # not 10000: a machine that is lost is missed sooner
    )
)
"""Time constants of Ray on the machines."""

SSHD = """Port 22
HostKey {folder}/hostkey
AuthorizedKeysFile {folder}/key.pub
PidFile none
PasswordAuthentication no
UsePAM no
StrictModes no
MaxStartups 100
MaxSessions 100
Subsystem sftp internal-sftp
"""

BOOT = """set -e
mount --make-rprivate /
mount -t tmpfs tmpfs {own}
mkdir {own}/changes {own}/work {own}/root
mount -t overlay overlay -o lowerdir=/,upperdir={own}/changes,workdir={own}/work {own}/root
cd {own}/root
mount --rbind /dev dev
mount -t proc proc proc
mount -t tmpfs tmpfs tmp; chmod 1777 tmp
mount -t tmpfs tmpfs run; mkdir run/sshd
mount -t tmpfs -o size=1g tmpfs dev/shm
mkdir -p .{folder}; mount --bind {folder} .{folder}
for kept in {seen}; do
  mine={own}/seen$kept; mkdir -p .$kept $mine/changes $mine/work
  mount -t overlay overlay -o lowerdir=$kept,upperdir=$mine/changes,workdir=$mine/work .$kept
done
rm -rf root/.ssh root/.ray root/.cache
hostname {name}
rm -f etc/resolv.conf; : > etc/resolv.conf
printf '127.0.0.1 localhost\n%s {name}\n' {address} > etc/hosts
printf '%s\\n' {profile} > root/.bashrc
echo '. ~/.bashrc' > root/.profile
{more}
exec chroot . /bin/bash -c '$(command -v sshd) -f {folder}/sshd_config -E {folder}/{name}.sshd
touch {folder}/{name}.up; while :; do wait -n || sleep 1; done'
"""


TRY = """set -e
ip link set lo up
ip link add try0 type bridge
mount -t tmpfs tmpfs {folder}
mkdir {folder}/changes {folder}/work {folder}/root
mount -t overlay overlay -o lowerdir=/,upperdir={folder}/changes,workdir={folder}/work {folder}/root
"""


def missing() -> str:
    """What this host lacks for such machines; nothing where it has all."""
    if os.geteuid() != 0:
        return "machines out of namespaces need root"
    if lacking := [name for name in NEEDED if shutil.which(name) is None]:
        return f"not here: {', '.join(lacking)}"
    with tempfile.TemporaryDirectory() as folder:
        tried = subprocess.run(
            ["unshare", *SPACES, "bash", "-c", TRY.format(folder=folder)],
            capture_output=True,
            text=True,
            check=False,
        )
    said = (tried.stderr.strip().splitlines() or ["it failed"])[-1]
    return f"no namespaces here: {said}" if tried.returncode else ""


def call(*words: str) -> str:
    """Run a command that must succeed; what it prints."""
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def uplinks() -> list[str]:
    """Network devices of this process that may lead outside."""
    lines = call("ip", "-o", "link", "show", "up").splitlines()
    return [name for name in (line.split(": ")[1].split("@")[0] for line in lines) if name != "lo"]


@dataclass
class Machine:
    """One of them."""

    name: str
    addresses: list[str]
    """The first in its own network, others further away."""

    process: subprocess.Popen[bytes]

    @property
    def init(self) -> int:
        """Its first process, as the host counts."""
        file = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return int(file.read_text().split()[0])

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start a command there."""
        return subprocess.Popen(
            ["nsenter", "-t", str(self.init), "-a", "-r", "-w", "--", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *words: str) -> str:
        """What a command prints there; it must succeed."""
        process = self.start(*words)
        output = process.communicate()[0]
        if process.returncode:
            raise RuntimeError(f"{self.name}: {' '.join(words)}: {output}")
        return output

    def destroy(self) -> None:
        """Pull its plug."""
        self.process.kill()
        self.process.wait()


class Machines:
    """Some machines on a bridge. Use it in a `with`, in a network namespace of its own."""

    def __init__(self, folder: Path, seen: Sequence[Path], more: str = "") -> None:
        """Nothing is started yet.

        Args:
            folder: for keys and logs; all machines see it.
            seen: what of /tmp they see as well, each under changes of its own.
            more: commands of the shell at the boot of each, in its root.
        """
        self.folder, self.seen, self.more = folder, seen, more
        self.machines: list[Machine] = []

    def __enter__(self) -> Self:
        if found := uplinks():
            raise RuntimeError(f"refuses to begin: this network reaches out by {', '.join(found)}")
        for name in ("key", "hostkey"):
            call("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / name))
        (self.folder / "sshd_config").write_text(SSHD.format(folder=self.folder))
        call("mount", "--bind", "/dev/null", "/etc/resolv.conf")  # nobody answers: ask nobody
        call("ip", "link", "set", "lo", "up")
        call("ip", "link", "add", BRIDGE, "type", "bridge")
        call("ip", "addr", "add", f"{GATEWAY}/16", "dev", BRIDGE)
        call("ip", "link", "set", BRIDGE, "up")
        call("ip", "route", "add", "default", "dev", BRIDGE)  # all addresses are on the bridge
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for machine in self.machines:
            machine.destroy()

    def __getitem__(self, name: str) -> Machine:
        return next(machine for machine in self.machines if machine.name == name)

    def boot(self, name: str, addresses: list[str]) -> Machine:
        """Start a machine and wait until it answers."""
        own = self.folder / f"{name}.own"
        own.mkdir()
        script = BOOT.format(
            own=own,
            name=name,
            address=addresses[0],
            folder=self.folder,
            seen=" ".join(str(path) for path in self.seen),
            profile=f"'export PATH={os.environ['PATH']} {QUICK}'",
            more=self.more,
        )
        with (self.folder / f"{name}.log").open("w") as log:
            process = subprocess.Popen(
                ["unshare", *SPACES, "bash", "-c", script],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        machine = Machine(name, addresses, process)
        self.machines.append(machine)
        self.plug_in(machine)
        self.wait_for(machine)
        return machine

    def plug_in(self, machine: Machine) -> None:
        """Connect a machine to the bridge."""
        time.sleep(0.3)  # unshare has made its namespaces by then
        pid = str(machine.init)
        ends = (f"to-{machine.name}", "eth0")
        call("ip", "link", "add", ends[0], "type", "veth", "peer", "name", ends[1], "netns", pid)
        call("ip", "link", "set", ends[0], "master", BRIDGE, "up")
        inside = ["nsenter", "-t", pid, "-n", "ip"]
        for address, size in zip(machine.addresses, (16, *[32] * 9), strict=False):
            call(*inside, "addr", "add", f"{address}/{size}", "dev", "eth0")
        call(*inside, "link", "set", "eth0", "up")
        call(*inside, "link", "set", "lo", "up")
        call(*inside, "route", "add", "default", "dev", "eth0")

    def wait_for(self, machine: Machine, seconds: float = 20) -> None:
        """Until one can log in."""
        until = time.monotonic() + seconds
        while True:
            try:
                socket.create_connection((machine.addresses[0], 22), 1).close()
            except OSError:
                told = (self.folder / f"{machine.name}.log").read_text()
                if time.monotonic() > until or machine.process.poll() is not None:
                    raise RuntimeError(f"{machine.name} does not answer: {told}") from None
                time.sleep(0.1)
            else:
                return
