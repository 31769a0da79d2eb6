"""Records for the HParams page; test_board.py reads them back with TensorBoard."""

from search.hparams import group


def test_a_group_is_the_configuration_however_it_is_written() -> None:
    assert group({"a": 1, "b": 0.5}) == group({"b": 0.5, "a": 1.0})
    assert group({"a": 1}) != group({"a": 2})
    assert group({"a": "1"}) != group({"a": 1})
