"""The table of tasks: one result for each config."""

from __future__ import annotations

from tests.benchmarks.workloads import EXCA, FLOOR, OURS, Aim, Family, Subject, Workload

# Ours and the peer run the very same file.
SUBJECTS = {
    OURS: Subject("infra"),
    EXCA: Subject("infra", peer=True),
    "joblib": Subject("joblib_memory", peer=True),
    "diskcache": Subject("disk_cache", peer=True),
    "lru_cache": Subject("lru"),
    FLOOR: Subject("floor"),
}

WORKLOADS = [
    Workload(
        "warm hit from a new object (build + call), {size} results stored",
        "warm_hit",
        1000,
        growth=(100,),
        full=(10_000,),
        prepare="store",
        aim=Aim(0.15e-3, 8.3, FLOOR),
        limit={EXCA: 1000},
    ),
    Workload("warm hit on the same object, in RAM", "ram_hit", aim=Aim(None, 2, "lru_cache")),
    Workload("build and uid of a nested config of 30 fields with a union", "identity", aim=Aim(0.15e-3, 5, FLOOR)),
    Workload("{size} clone_obj", "clone", 1000, growth=(100,), full=(10_000,), aim=Aim(0.1, 3.3, FLOOR)),
    Workload(
        "{size} cached tasks, fresh process",
        "fresh",
        1000,
        growth=(100,),
        full=(10_000,),
        prepare="store",
        aim=Aim(0.2),
        limit={EXCA: 1000},
    ),
    Workload(
        "job_array of {size} light tasks, in process",
        "array_inline",
        200,
        growth=(50,),
        full=(1000,),
        aim=Aim(0.2, 5, FLOOR),
    ),
    Workload(
        "job_array of {size} light tasks, local",
        "array_local",
        50,
        growth=(200,),
        full=(1000,),
        aim=Aim(2.0),
        limit={EXCA: 50},
    ),
    Workload("status of a task whose result is 80 MB", "status", prepare="store_block", aim=Aim(0.2e-3)),
]

TASKS = Family("tasks", SUBJECTS, WORKLOADS)
