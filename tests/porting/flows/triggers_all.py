"""Every trigger, over upstreams of which one succeeded, one failed and one was skipped, or of one kind."""

from prefect import Flow, task, triggers
from prefect.engine.signals import SKIP


@task
def good():
    return 1


@task
def bad():
    raise ValueError("no")


@task
def skipped():
    raise SKIP("not today", result=None)


CHOSEN = {
    "all_successful": triggers.all_successful,
    "all_failed": triggers.all_failed,
    "any_successful": triggers.any_successful,
    "any_failed": triggers.any_failed,
    "all_finished": triggers.all_finished,
    "always_run": triggers.always_run,
    "not_all_skipped": triggers.not_all_skipped,
    "some_failed_1": triggers.some_failed(at_least=1),
    "some_failed_2": triggers.some_failed(at_least=2),
    "some_failed_half": triggers.some_failed(at_least=0.5),
    "some_failed_at_most_0": triggers.some_failed(at_most=0),
    "some_successful_2": triggers.some_successful(at_least=2),
    "some_successful_fraction": triggers.some_successful(at_least=0.6, at_most=0.7),
}


def decide(name, skip):
    @task(name=name, trigger=CHOSEN[name.split(" ")[0]], skip_on_upstream_skip=skip)
    def decided():
        return name

    return decided


with Flow("triggers") as flow:
    a, b, c = good(), bad(), skipped()
    for name in CHOSEN:
        decide(f"{name} mixed", skip=False)(upstream_tasks=[a, b, c])
        decide(f"{name} good", skip=False)(upstream_tasks=[a])
        decide(f"{name} bad", skip=False)(upstream_tasks=[b])
        decide(f"{name} skipped", skip=False)(upstream_tasks=[c])
        decide(f"{name} polite", skip=True)(upstream_tasks=[a, b, c])
        decide(f"{name} alone", skip=False)()
