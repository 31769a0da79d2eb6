"""Which curves a study can afford: settled once, before their first run, kept as `plan.yaml`."""

import yaml

from muse.durable import put_text
from muse.errors import UserError
from search.entry import Entry
from search.estimate import Estimate, estimate, smaller
from search.plan import Plan, run_count
from search.sections import Curves
from search.view import clock
from search.work import Work

ASK_ABOVE_HOURS = 1.0
"""What may take longer is started only after a question."""


def settled_plan(work: Work, best: Entry) -> Plan:
    """The plan of these curves: that of an earlier start, or one that fits the hours allowed."""
    file = work.place.root / "plan.yaml"
    if file.exists():
        plan = Plan.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
        if plan.incumbent == best.trial_id and plan.asked == work.study.sensitivity:
            return plan
    plan = Plan(incumbent=best.trial_id, curves=fitting(work, best), asked=work.study.sensitivity)
    put_text(file, yaml.safe_dump(plan.model_dump(), sort_keys=False))
    return plan


def fitting(work: Work, best: Entry) -> Curves:
    """The curves that fit `max_hours`; says what they will cost, and asks where that is long.

    Raises:
        UserError: not even the smallest fit, or the user does not want them.
    """
    asked = work.study.sensitivity
    curves: Curves | None = asked
    while curves is not None:
        cost = cost_of(work, best, curves)
        if asked.max_hours is None or cost.hours <= asked.max_hours:
            break
        curves = smaller(curves)
    if curves is None:
        raise UserError(
            f"sensitivity.max_hours: even the smallest curves take {cost.hours:.2g} hours, more "
            f"than {asked.max_hours:g}; --resume with more, or --resume --phases final,report"
        )
    if curves != asked:
        shrunk = f"{curves.points} points, {curves.seeds} seeds, {curves.pairs} pairs"
        work.view.say(f"curves shrunk to fit {asked.max_hours:g} hours: {shrunk}")
    work.view.say(told(cost))
    long = asked.max_hours is None and cost.hours > ASK_ABOVE_HOURS
    if long and work.agree is not None and not work.agree("Train them?"):
        raise UserError("the curves are not trained; --resume takes the study up again")
    return curves


def cost_of(work: Work, best: Entry, curves: Curves) -> Estimate:
    """What curves will cost."""
    runs = run_count(work.study, best, curves, work.entries())
    cluster = work.cluster()
    return estimate(work.study, work.entries(), runs, cluster.pools.most, cluster.pools.devices)


def told(cost: Estimate) -> str:
    """An estimate as a line."""
    money = "" if cost.money is None else f", {cost.money:.2f} in money"
    return (
        f"the curves need at most {cost.runs} runs: about {clock(cost.hours * 3600)}, "
        f"{cost.device_hours:.2g} device-hours{money}"
    )
