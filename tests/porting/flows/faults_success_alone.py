"""A task that ends itself early with SUCCESS, without a result; another reads it."""

from prefect import Flow, task
from prefect.engine.signals import SUCCESS


@task
def early():
    raise SUCCESS("nothing more to do")


@task
def reads(value):
    return type(value).__name__


with Flow("success-alone") as flow:
    reads(early())


NO_SIGNAL = "A signal without a result gives none: nobody computes with the signal by accident."

DIFFERS = {
    "runs/0/tasks/early-1/result": ("(absent)", None, NO_SIGNAL),
    "runs/0/tasks/early-1/result/exception": ("SUCCESS", "(absent)", NO_SIGNAL),
    "runs/0/tasks/reads-1/result": ("SUCCESS", "NoneType", NO_SIGNAL),
}
