"""`ray up` for real, on machines out of namespaces."""

from pathlib import Path

import machines
import pytest
import stories

LACKING = machines.missing()
pytestmark = [
    pytest.mark.machines,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(bool(LACKING), reason=LACKING or "all is there"),
]


def test_the_file_for_own_machines_brings_up_a_cluster_that_searches(
    tmp_path: Path, programs: Path
) -> None:
    stories.tell("story_own_machines.py", tmp_path, programs)
