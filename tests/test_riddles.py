from collections import Counter

import numpy as np
import pytest
from scipy.optimize import Bounds, LinearConstraint, milp

from muse.corpora.riddles import BEST_ALONE, BEST_SUM, Riddle, interaction

FAR = 50
"""More than any two sums of scores can lie apart."""


def best_sum(every: list[Riddle], classes: int) -> float:
    """Share that the best rule gets right which picks the class of the highest text score plus
    picture score: an integer programme, with a 0 or 1 for each riddle that the rule solves."""
    often = Counter(every)
    scores = 2 * classes**2  # of each text for each class, then of each picture
    rows = []
    for place, (hidden, text, picture) in enumerate(often):
        for other in set(range(classes)) - {hidden}:
            row = np.zeros(scores + len(often))
            row[[text * classes + hidden, (classes + picture) * classes + hidden]] = 1
            row[[text * classes + other, (classes + picture) * classes + other]] = -1
            row[scores + place] = -FAR  # where it is solved, the right class leads by 1
            rows.append(row)
    found = milp(
        np.array([0] * scores + [-count for count in often.values()]),
        constraints=LinearConstraint(np.array(rows), lb=1 - FAR),
        integrality=np.array([0] * scores + [1] * len(often)),
        bounds=Bounds([-10] * scores + [0] * len(often), [10] * scores + [1] * len(often)),
    )
    assert found.success
    return float(-found.fun / len(every))


@pytest.mark.parametrize("classes", [3, 4])
def test_no_sum_of_what_text_and_picture_say_solves_an_interaction(classes: int) -> None:
    assert best_sum(interaction(classes), classes) == pytest.approx(BEST_SUM[classes])


@pytest.mark.parametrize("classes", [3, 4])
def test_the_usual_picture_is_shown_half_the_time_and_tells_as_much_as_the_text(
    classes: int,
) -> None:
    every = interaction(classes)
    seen = {
        "text": Counter((riddle.text, riddle.hidden) for riddle in every),
        "picture": Counter((riddle.picture, riddle.hidden) for riddle in every),
    }

    for counts in seen.values():
        right = sum(
            max(count for (shown, _), count in counts.items() if shown == one)
            for one in range(classes)
        )
        assert right / len(every) == BEST_ALONE


@pytest.mark.parametrize("classes", [3, 4])
def test_every_text_is_shown_with_every_picture(classes: int) -> None:
    shown = {(riddle.text, riddle.picture) for riddle in interaction(classes)}

    assert len(shown) == classes**2
