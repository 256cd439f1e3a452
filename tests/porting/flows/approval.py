"""A task with the trigger ``manual_only`` waits for a person."""

from prefect import Flow, task
from prefect.triggers import manual_only

seen = []


@task
def build():
    seen.append("build")
    return "image"


@task(trigger=manual_only)
def deploy(image):
    seen.append("deploy")
    return f"{image} is live"


@task
def tell(text):
    seen.append(text)


with Flow("approval") as flow:
    tell(deploy(build()))

RUN = dict(approve=True)
