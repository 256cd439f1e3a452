"""Where results are written: templates with the context, parameters and arguments; a callable; none."""

import pathlib

from prefect import Flow, Parameter, task
from prefect.engine.results import LocalResult
from prefect.engine.serializers import CompressedSerializer, JSONSerializer, PickleSerializer


@task(
    result=LocalResult(
        dir="./kept", location="{flow_name}/{task_name}-{region}.json", serializer=JSONSerializer()
    )
)
def sales(region):
    return {"region": region, "sum": 12}


@task(
    result=LocalResult(
        dir="./kept",
        location=lambda **kwargs: f"{kwargs['task_name']}-{kwargs['parameters']['region']}.gz",
        serializer=CompressedSerializer(PickleSerializer(), "gzip"),
    )
)
def packed(rows):
    return [rows, "packed"]


@task(checkpoint=False)
def not_kept():
    return "nothing on disk"


@task
def by_the_flows_rule():
    return "the flow's result says where"


with Flow("locations", result=LocalResult(dir="./kept", location="other/{task_slug}")) as flow:
    region = Parameter("region", default="north")
    packed(sales(region))
    not_kept()
    by_the_flows_rule()

RUNS = [dict(context={"checkpointing": True}), {}]


def look(states):
    folder = pathlib.Path("kept")
    files = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    own = [name for name in files if not name.startswith("other/")]
    return {
        "files": own,
        "json": folder.joinpath("locations/sales-north.json").read_text(),
        "others": len(files) - len(own),
    }
