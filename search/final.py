"""The last training: the incumbent once more, scored once on test, exported."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import ray
from ray.tune.schedulers import FIFOScheduler

from muse.errors import UserError
from muse.shares import most_workers
from search.best import final_part, put_model, write_best
from search.bucket import at_hand
from search.cluster import ROOM_WITHIN, Cluster
from search.entry import Entry
from search.launch import tune_phase
from search.plan import FINAL, incumbent, missing
from search.room import whole_gpus
from search.searcher import Listed, Proposal
from search.study import Study
from search.task import Task
from search.work import Work


def final(work: Work) -> None:
    """Train the incumbent once more and score it on test.

    The test split is read here and nowhere else, once.
    """
    best = incumbent(work.study, work.entries())
    wanted = Proposal(f"{FINAL}-{best.trial_id}", best.point, work.study.seed)
    if final_part(work.place.root, wanted.trial_id) is not None:
        return
    with workers_for(work, best) as cluster:
        trained = train_final(work, cluster, wanted)
        test = test_scores(work, cluster, wanted) if "test" in work.tensors.splits else {}
    with at_hand(work.keeper.kept.checkpoints.folder(wanted.trial_id)) as (folder, _):
        put_model(folder, work.place.root)
    work.ledger.keep(wanted.trial_id, "best")
    about = {"trial_id": trained.trial_id, "value": trained.value, "test": dict(test) or NO_TEST}
    write_best(work.study, work.entries(), best, work.place.root, about)


NO_TEST = "this corpus has no test split"


@contextmanager
def workers_for(work: Work, best: Entry) -> Iterator[Cluster]:
    """One group of all workers; a usual one where more would not be there in time, or would differ.

    Sums over a batch weigh more than the caption's mean, and less with each worker more.
    """
    is_short = best.seconds < 60 * work.study.resources.together_minutes
    as_usual = is_short or work.study.base.parity.summed_losses
    if as_usual and work.running is not None:
        yield work.running
        return
    usual = work.study.resources.workers
    most = most_workers(work.study.base, len(work.tensors.splits["train"]))
    workers = usual if as_usual else min(usual * work.cluster().pools.apart, most)
    work.release()
    study, shared = in_one_group(work.study, workers), work.place.shared
    with Cluster(study, shared, work.address, ROOM_WITHIN) as cluster:
        yield cluster


def in_one_group(study: Study, workers: int) -> Study:
    """The study with one trial at a time, of so many workers.

    None of them shares a GPU with another: NCCL would refuse that.
    """
    asked = study.resources.gpus_per_worker  # None is a whole one already
    whole = None if asked is None else whole_gpus(asked)
    changed = {"workers": workers, "concurrent": 1, "gpus_per_worker": whole}
    wanted = study.resources.model_copy(update=changed)
    return study.model_copy(update={"resources": wanted})


def train_final(work: Work, cluster: Cluster, wanted: Proposal) -> Entry:
    """Train it, unless that was done before an interruption; what failed is tried again.

    So is one whose model is gone: another configuration was the best meanwhile, and its model took
    the place in `best/`.
    """
    todo = missing([wanted], work.entries(FINAL))
    if not todo and not work.keeper.kept.checkpoints.has(wanted.trial_id, "best"):
        work.ledger.forget(wanted.trial_id)
        todo = [wanted]
    if todo:
        begin = work.keeper.start(FINAL, 1, [], cluster.pools.devices)
        tune_phase(cluster, work.keeper, Listed(todo, begin), FIFOScheduler())
    ended = next(e for e in work.entries(FINAL) if e.trial_id == wanted.trial_id)
    if ended.state != "completed":
        raise UserError(f"the final training failed: {ended.reason}; --resume tries it again")
    return ended


def test_scores(work: Work, cluster: Cluster, trained: Proposal) -> Mapping[str, float]:
    """The final model's scores on the test split."""
    config = work.study.config(trained.point, trained.seed).model_dump(mode="json")
    folder = work.keeper.kept.checkpoints.folder(trained.trial_id)
    ray.get(cluster.desk.put.remote(Task("test", config, folder, work="score")))
    message = ray.get(cluster.desk.next.remote("test", 0))
    ray.get(cluster.desk.leave.remote("test"))
    if "failed" in message:
        raise UserError(f"the final model could not be scored on test: {message['failed']}")
    scores: Mapping[str, float] = message["result"]
    return scores
