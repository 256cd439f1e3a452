"""A target, and nothing that says where results are kept."""

from prefect import Flow, task

seen = []


@task(target="{task_name}-alone.pkl")
def fetch():
    seen.append("fetch")
    return 6


with Flow("target-alone") as flow:
    fetch()

RUNS = [dict(context={"checkpointing": True})] * 2


A_PLACE = "A target says where: without another word it is kept in this product's own folder."

DIFFERS = {
    "runs/0/message": ("Some reference tasks failed.", "All reference tasks succeeded.", A_PLACE),
    "runs/0/state": ("Failed", "Success", A_PLACE),
    "runs/0/tasks/fetch-1/state": ("Failed", "Success", A_PLACE),
    "runs/0/tasks/fetch-1/result/exception": ("ResultNotImplementedError", "(absent)", A_PLACE),
    "runs/0/tasks/fetch-1/result": ("(absent)", 6, A_PLACE),
    "runs/1/message": ("Some reference tasks failed.", "All reference tasks succeeded.", A_PLACE),
    "runs/1/state": ("Failed", "Success", A_PLACE),
    "runs/1/tasks/fetch-1/state": ("Failed", "Cached", A_PLACE),
    "runs/1/tasks/fetch-1/result/exception": ("ResultNotImplementedError", "(absent)", A_PLACE),
    "runs/1/tasks/fetch-1/result": ("(absent)", 6, A_PLACE),
    "seen": ([], "(absent)", A_PLACE),
    "seen/0": ("(absent)", "fetch", A_PLACE),
}
