"""`ray up cluster.yaml` for real, against an EC2 whose instances are machines out of namespaces."""

from pathlib import Path

import machines
import pytest
import stories

pytest.importorskip("moto.server", reason="moto's server is not here ([test])")

LACKING = machines.missing()
pytestmark = [
    pytest.mark.machines,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(bool(LACKING), reason=LACKING or "all is there"),
]


def test_the_file_for_aws_brings_up_a_cluster_that_grows_searches_and_shrinks(
    tmp_path: Path, programs: Path
) -> None:
    stories.tell("story_aws.py", tmp_path, programs)


def test_a_story_refuses_to_begin_where_packets_can_leave(tmp_path: Path) -> None:
    if not machines.uplinks():
        pytest.skip("this network has no uplink itself")
    with pytest.raises(RuntimeError, match="refuses"), machines.Machines(tmp_path, []):
        pass
