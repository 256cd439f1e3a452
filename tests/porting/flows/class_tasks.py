"""Tasks as classes: attributes at construction, ``defaults_from_attrs``, ``task_args`` for a copy."""

from prefect import Flow, Task
from prefect.utilities.tasks import defaults_from_attrs


class Greet(Task):
    def __init__(self, greeting="hello", punctuation=None, **kwargs):
        self.greeting = greeting
        self.punctuation = punctuation
        super().__init__(**kwargs)

    @defaults_from_attrs("greeting", "punctuation")
    def run(self, name, greeting=None, punctuation=None):
        return f"{greeting} {name}{punctuation or ''}"


greet = Greet(punctuation="!")

with Flow("class-tasks") as flow:
    greet("Ada")
    greet("Bea", greeting="good day")
    greet("Cy", task_args={"name": "greet Cy", "tags": {"polite"}})
    Greet("bye", name="farewell")("Dan")
    greet.map(["Eve", "Fay"])
