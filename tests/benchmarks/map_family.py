"""The table of maps: one value for each item of one config."""

from __future__ import annotations

from tests.benchmarks.workloads import EXCA, FLOOR, OURS, Aim, Family, Subject, Workload

# The first two of each package are its ``MapInfra``, which users call, and its ``CacheDict`` alone.
OUR_DICT, EXCA_DICT = f"{OURS} dict", f"{EXCA} dict"
SUBJECTS = {
    OURS: Subject("map_infra"),
    OUR_DICT: Subject("map_cache_dict"),
    EXCA: Subject("map_infra", peer=True),
    EXCA_DICT: Subject("map_cache_dict", peer=True),
    "joblib": Subject("map_joblib", peer=True),
    "diskcache": Subject("map_diskcache", peer=True),
    "np.save": Subject("map_files"),
    FLOOR: Subject("map_floor"),
}
# Each of these spends a millisecond or a file on an item; exca 0.6.0 alone is measured up to 100,000.
FEW = dict.fromkeys((EXCA_DICT, "joblib", "np.save"), 10_000)
MANY = {**FEW, EXCA: 100_000, "diskcache": 100_000}

WORKLOADS = [
    Workload(
        "map: {size} arrays of 64 float32, cold",
        "map_cold",
        10_000,
        growth=(1000,),
        aim=Aim(0.3),
        function="arrays_cold",
    ),
    Workload(
        "map: {size} arrays, cold",
        "map_cold_many",
        100_000,
        full=(1_000_000,),
        aim=Aim(2.5),
        function="arrays_cold",
        limit=MANY,
    ),
    Workload(
        "map: {size} arrays, warm, new process",
        "map_warm",
        10_000,
        growth=(1000,),
        full=(100_000, 1_000_000),
        prepare="store_arrays",
        aim=Aim(0.08),
        function="arrays_warm",
        limit=MANY,
    ),
    Workload("map: {size} arrays, warm in RAM", "map_ram", 10_000, aim=Aim(0.01), function="arrays_in_ram"),
    Workload(
        "map: one item of {size}, new process",
        "map_one",
        100_000,
        growth=(1000, 10_000),
        full=(1_000_000,),
        prepare="store_arrays",
        aim=Aim(0.02),
        function="one_item",
        limit=MANY,
    ),
    Workload(
        "map: one new item into {size}, new process",
        "map_add",
        100_000,
        growth=(1000, 10_000),
        full=(1_000_000,),
        prepare="store_arrays",
        aim=Aim(0.02),
        function="one_new",
        limit=MANY,
    ),
    Workload(
        "map: one new item, same object, cache of {size}",
        "map_add_same",
        10_000,
        growth=(1000,),
        full=(100_000,),
        aim=Aim(1e-3),
        function="one_new_same_object",
        limit=MANY,
    ),
    Workload(
        "map: one cached item, same object, from disk",
        "map_one_same",
        10_000,
        prepare="store_arrays",
        aim=Aim(15e-6),
        judged=OUR_DICT,
        function="one_cached_same_object",
    ),
    Workload(
        "map: {size} strings, warm, new process",
        "map_strings",
        10_000,
        prepare="store_texts",
        aim=Aim(0.03),
        function="texts_warm",
    ),
    Workload(
        "map: {size} dicts, warm, new process",
        "map_dicts",
        10_000,
        prepare="store_records",
        aim=Aim(0.06),
        function="records_warm",
    ),
    Workload("map: {size} arrays of 4 MB, cold", "map_big_cold", 200, aim=Aim(None, 1.1), function="blocks_cold"),
    Workload(
        "map: {size} arrays of 4 MB, warm",
        "map_big_warm",
        200,
        prepare="store_blocks",
        aim=Aim(None, 1.1),
        function="blocks_warm",
    ),
    Workload(
        "map: {size} arrays of 4 MB, one by one: memory",
        "map_big_memory",
        200,
        prepare="store_blocks",
        function="blocks_memory",
        unit="MB",
    ),
    Workload(
        "map: {size} light items, warm process pool, kept in RAM",
        "map_pool",
        2000,
        aim=Aim(0.05),
        function="light_pool",
    ),
    Workload(
        "map: {size} light items, warm process pool, stored",
        "map_pool_stored",
        2000,
        aim=Aim(0.05),
        function="light_pool_stored",
    ),
    Workload(
        "map: {size} CPU-bound items, 4 processes, kept in RAM (floor: plain loop)",
        "map_cpu",
        200,
        aim=Aim(None, 1.1, "joblib"),
        function="heavy_pool",
    ),
    Workload(
        "map: {size} CPU-bound items, 4 processes, stored (floor: plain loop)",
        "map_cpu_stored",
        200,
        aim=Aim(None, 1.1, "joblib"),
        function="heavy_pool_stored",
    ),
]

MAPS = Family("map", SUBJECTS, WORKLOADS)
