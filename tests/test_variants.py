"""A comparison in an experiment file: what it may say, and one line on what is wrong with it."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from muse.errors import UserError
from search.changes import differences
from search.experiment import read_study
from search.study import COMPARING, PHASES, Study

FIXED = {"loss.alpha": 0.1, "loss.beta": 0.1}


def read(folder: Path, compare: dict[str, Any], **more: Any) -> Study:
    file = folder / "mine.yaml"
    file.write_text(yaml.safe_dump({"preset": "tiny", "fixed": FIXED, "compare": compare, **more}))
    return read_study(file)


def test_a_study_that_compares_has_its_own_phases_and_as_many_trials_as_runs(
    tmp_path: Path,
) -> None:
    study = read(tmp_path, {"seeds": 4, "variants": {"no-exchange": {"cross.theta": 0}}})
    assert study.phases == COMPARING
    assert study.trials == 2 * 4
    assert Study().phases == PHASES
    assert Study().trials == Study().budget.trials


def test_the_reference_alone_is_a_comparison_too(tmp_path: Path) -> None:
    study = read(tmp_path, {"reference": "whole"})
    assert study.compare is not None
    assert study.compare.named == {"whole": {}}


def test_a_variant_changes_the_reference_and_nothing_else(tmp_path: Path) -> None:
    study = read(tmp_path, {"variants": {"text": {"data.inputs": "text", "loss.beta": "1e-2"}}})
    assert study.compare is not None
    made = study.config(study.compare.variants["text"])
    assert (made.data.inputs, made.loss.alpha, made.loss.beta) == ("text", 0.1, 0.01)
    assert study.base.data.inputs == "both"


@pytest.mark.parametrize(
    ("compare", "line"),
    [
        ({"variants": {"a": {"loss.alfa": 0}}}, "unknown setting 'loss.alfa'; did you mean"),
        ({"variants": {"a": {"train.seed": 1}}}, "'train.seed' is given by 'seed', for all"),
        ({"variants": {"a": {"data.limit": 9}}}, "'data.limit' changes the tweets, which all"),
        ({"variants": {"a": {}}}, "compare.variants.a: changes nothing; the reference is 'muse'"),
        ({"variants": {"muse": {"loss.beta": 0}}}, "'muse' is the reference; name the variant"),
        ({"variants": {"a": {"cross.theta": 2}}}, "compare.variants.a: cross.theta: Input should"),
        ({"variants": {"a": {"fusion.kind": "text"}}}, "without a picture there is none to"),
        ({"variants": {"a/b": {"loss.beta": 0}}}, "String should match pattern"),
        ({"variant": {}}, "unknown key 'variant'; did you mean 'variants'?"),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, compare: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError) as caught:
        read(tmp_path, compare)
    assert line in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_nothing_is_searched_in_a_comparison(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="searches nothing; leave out space"):
        read(tmp_path, {}, space={"cross.theta": {"low": 0.0, "high": 0.5}})


def test_seeds_and_variants_can_be_added_but_what_there_was_is_part_of_the_study(
    tmp_path: Path,
) -> None:
    one, two = {"a": {"loss.beta": 0}}, {"a": {"loss.beta": 0}, "ab": {"loss.alpha": 0}}
    before = read(tmp_path, {"seeds": 3, "variants": one})
    more = read(tmp_path, {"seeds": 5, "variants": two})
    other = read(tmp_path, {"seeds": 3, "variants": {"a": {"loss.beta": 0.5}}})
    assert differences(before, more) == []
    assert differences(before, other) == ["compare.variants.a.loss.beta changed (0, now 0.5)"]
    assert differences(more, before) == [
        "compare.variants.ab.loss.alpha changed (0, now not given)"
    ]
