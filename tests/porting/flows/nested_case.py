"""A ``case`` in a ``case``."""

from prefect import Flow, Parameter, case, task
from prefect.tasks.control_flow import merge


@task
def colour(name):
    return name


@task
def shade(name):
    return "dark" if name.isupper() else "light"


@task
def lower(name):
    return name.lower()


@task
def say(text):
    return text


with Flow("nested-case") as flow:
    name = Parameter("name", default="RED")
    with case(colour(lower(name)), "red"):
        tone = shade(name)
        with case(tone, "dark"):
            dark = say("dark red")
        with case(tone, "light"):
            light = say("light red")
        red = merge(dark, light)
    with case(colour(lower(name)), "blue"):
        blue = say("blue")
    merge(red, blue)

RUNS = [{}, dict(name="red"), dict(name="blue"), dict(name="green")]
