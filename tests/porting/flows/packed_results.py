"""Results as compressed JSON, and by functions of one's own."""

import zlib

from prefect import Flow, task
from prefect.engine.results import LocalResult
from prefect.engine.serializers import CompressedSerializer, JSONSerializer, PickleSerializer

packed = CompressedSerializer(JSONSerializer(), format="gzip")
own = CompressedSerializer(
    serializer=PickleSerializer(),
    compress=zlib.compress,
    decompress=zlib.decompress,
    compress_kwargs={"level": 9},
)


@task(result=LocalResult(dir="kept", serializer=packed), target="rows.json.gz")
def rows(value):
    return {"rows": value}


@task(result=LocalResult(dir="kept", serializer=own), target="own-{value}.pkl")
def more(value):
    return [value]


with Flow("packed-results") as flow:
    rows([1, 2])
    more(3)

RUNS = [{"context": {"checkpointing": True}}] * 2


def look(states):
    return {
        "equal": packed == CompressedSerializer(JSONSerializer(), "gzip"),
        "unequal": packed == CompressedSerializer(JSONSerializer(), "zlib"),
        "read": LocalResult(dir="kept", serializer=packed).read("rows.json.gz").value,
    }
