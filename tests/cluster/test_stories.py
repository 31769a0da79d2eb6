"""`ray up` for real: of clusters/local.yaml on machines out of namespaces, and of cluster.yaml
against an EC2 that boots such machines."""

from pathlib import Path

import machines
import pytest
import stories

pytestmark = [pytest.mark.machines, pytest.mark.timeout(900)]


def test_the_file_for_own_machines_brings_up_a_cluster_that_searches(
    tmp_path: Path, programs: Path
) -> None:
    stories.tell("story_own_machines.py", tmp_path, programs)


def test_the_file_for_aws_brings_up_a_cluster_that_grows_searches_and_shrinks(
    tmp_path: Path, programs: Path
) -> None:
    stories.tell("story_aws.py", tmp_path, programs)


def test_a_story_refuses_to_begin_where_packets_can_leave(tmp_path: Path) -> None:
    if not machines.uplinks():
        pytest.skip("this network has no uplink itself")
    with pytest.raises(RuntimeError, match="refuses"), machines.Machines(tmp_path, []):
        pass
