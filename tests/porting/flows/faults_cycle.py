"""A flow whose tasks wait for each other; an argument that is fed twice; a task in no flow."""

from prefect import Flow, Parameter, Task, task


@task
def step(value=None):
    return value


def caught(function):
    try:
        result = function()
    except Exception as error:
        return [kind.__name__ for kind in (ValueError, TypeError) if isinstance(error, kind)]
    return getattr(result, "message", None) or type(result).__name__


def cycle():
    with Flow("cycle") as made:
        a, b = step(), step()
        a.set_upstream(b)
        b.set_upstream(a)
    return made


def outside():
    return step(1)


def no_name():
    return Flow("")


def two_parameters():
    with Flow("two"):
        step(Parameter("x"))
        step(Parameter("x"))


def parameter_waits():
    with Flow("waits"):
        Parameter("x").set_upstream(step())


def unpacked():
    with Flow("unpacked"):
        a, b = step()


def no_retry_delay():
    return task(lambda: 1, max_retries=2)


def delay_without_retries():
    return Task(retry_delay=10)


def star_args():
    return task(lambda *args: 1)


def tags_as_text():
    return Task(tags="abc")


flow = Flow("faults")
RUNS = []


def look(states):
    made = cycle()
    return {
        "sorted": caught(made.sorted_tasks),
        "run": caught(made.run),
        **{
            function.__name__: caught(function)
            for function in (
                outside, no_name, two_parameters, parameter_waits, unpacked, no_retry_delay,
                delay_without_retries, star_args, tags_as_text,
            )
        },
    }  # fmt: skip


ONE_FAMILY = "A mistake in a flow is a ValueError whichever it is, with a sentence that names the task."

DIFFERS = {
    "look/run": (
        "Unexpected error: ValueError('Cycle found; flows must be acyclic!')",
        "(absent)",
        "A flow that cannot run is refused with its cycle's names; it does not become a failed run.",
    ),
    "look/run/0": ("(absent)", "ValueError", "A flow that cannot run is refused before anything runs."),
    "look/tags_as_text/0": ("TypeError", "ValueError", ONE_FAMILY),
    "look/unpacked/0": ("TypeError", "ValueError", ONE_FAMILY),
}
