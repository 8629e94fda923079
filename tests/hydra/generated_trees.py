"""Config trees of random shape with override lists, for tests that compare two ways of composing."""

from __future__ import annotations

import random
from pathlib import Path

__all__ = ["overrides_of", "tree_of", "write_tree"]

GROUPS = ("db", "net", "net/act")
OPTIONS = ("a", "b", "c")


def write_tree(root: Path, seed: int) -> None:
    """Write the files of a tree: a primary config, groups with nested defaults, packages and interpolations."""
    for name, text in tree_of(seed).items():
        file = root / f"{name}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def tree_of(seed: int) -> dict[str, str]:
    """Return the texts of the files of a tree, by config path."""
    draw = random.Random(seed)
    files = {}
    for group in GROUPS:
        for option in OPTIONS:
            lines = []
            if draw.random() < 0.25:
                place = draw.choice(["_global_", "other", "_group_", "_name_"])
                lines.append(f"# @package {place}")
            defaults = []
            if group == "net" and draw.random() < 0.7:
                defaults.append(f"{{act: {draw.choice(OPTIONS)}}}")
            if option == "c" and draw.random() < 0.5:
                defaults.append(draw.choice(["a", "b"]))
            if defaults:
                defaults.insert(draw.choice([0, len(defaults)]), "_self_")
                lines.append(f"defaults: [{', '.join(defaults)}]")
            lines += [f"kind: {option}", f"size: {draw.randint(0, 9)}", f"{option}_only: [1, {{x: 2}}]"]
            if draw.random() < 0.3:
                lines.append(draw.choice(["link: ${seed}", "link: ${.size}", "link: ${oc.env:HOME}", "size2: ???"]))
            files[f"{group}/{option}"] = "\n".join(lines) + "\n"
    files["exp/one"] = (
        "# @package _global_\n"
        f"defaults: [{{override /db: {draw.choice(OPTIONS)}}}, {{override /net: {draw.choice(OPTIONS)}}}]\n"
        "seed: 11\nfree: {new: 1}\n"
    )
    files["exp/two"] = "# @package _global_\nseed: 12\nhydra: {job: {name: two}}\n"
    defaults = [f"db: {draw.choice(OPTIONS)}", f"net: {draw.choice(OPTIONS)}", "optional exp: null"]
    if draw.random() < 0.3:
        defaults.append(f"db@second: {draw.choice(OPTIONS)}")
    position = draw.choice([0, len(defaults)])
    listed = [f"  - {default}" for default in defaults]
    listed.insert(position, "  - _self_")
    naming = draw.choice(["", "hydra: {job: {config: {override_dirname: {exclude_keys: [seed]}}}}"])
    files["app"] = "\n".join(
        ["defaults:", *listed, "seed: 1", "name: n${seed}", "free: {a: 1, b: {c: [1, 2]}}", "gone: null", naming, ""]
    )
    return files


OVERRIDES = (
    "db=a", "db=b", "db=c", "net=a", "net=b", "net=c", "net/act=a", "net/act=c", "exp=one", "exp=two", "+exp=one",
    "~db", "~net/act", "db=[a]", "+db@third=b", "db@second=a", "db=absent", "seed=3", "seed=null", "name='x y'",
    "free.a=2", "free.b.c=[3]", "free={a: 5}", "+free.z=1", "++free.z={y: 1}", "~free.a", "~free", "free.b.c.0=9",
    "db.size=4", "net.size=4", "net.act.size=4", "other.size=1", "db.absent=1", "+new.deep=[{a: 1}]", "name=${seed}x",
    "gone=1", "gone={a: 1}", "hydra.job.name=z", "hydra.sweep.subdir=${hydra.job.num}", "hydra.verbose=true",
    "+hydra.job.env_set.A=1", "hydra/job_logging=none", "hydra.job.chdir=false", "absent=1", "seed=[1,2]",
    "hydra.searchpath=[]", "hydra.job.config.override_dirname.kv_sep=-", "name=a\\,b", "seed=int('3')",
    "seed=1e-3", "seed=1,2", "db=glob(*)", "seed=range(1,3)", "name=choice(x,y)",
)  # fmt: skip


def overrides_of(seed: int) -> list[str]:
    """Return an override list: most only set values, some choose, some are wrong."""
    draw = random.Random(seed)
    return draw.sample(OVERRIDES, draw.choice([0, 1, 1, 2, 2, 3, 4, 5]))
