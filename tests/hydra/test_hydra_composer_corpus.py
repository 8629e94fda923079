"""Composition with a memory equals Hydra's over a generated corpus: 900 pairs of a config tree and overrides."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path

import pytest
from generated_trees import overrides_of, write_tree
from hydra import version
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path
from hydra.core.utils import setup_globals
from hydra.types import RunMode
from test_hydra_composer import assert_same, outcome

from exca.hydra import Composer

LISTS = 20
"""Override lists for each tree."""

TREES = 45


@pytest.mark.slow
def test_composition_equals_that_of_hydra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(version.VersionBase.instance(), "version_base", None)
    version.setbase("1.3")
    setup_globals()
    counts: Counter[str] = Counter()
    for tree in range(TREES):
        folder = tmp_path / str(tree)
        write_tree(folder, tree)
        plain = ConfigLoaderImpl(create_config_search_path(str(folder)))
        master = plain.load_configuration("app", [], RunMode.MULTIRUN)
        composer = Composer(plain)
        for number in range(LISTS):
            overrides = overrides_of(1000 * tree + number)
            expected, error = outcome(partial(plain.load_sweep_config, master), overrides)
            made, made_error = outcome(partial(composer.load_sweep_config, master), overrides)
            assert made_error == error, (tree, overrides)
            if expected is not None:
                assert_same(made, expected)
                assert made == expected
            counts["pairs"] += 1
            counts["composed" if expected is not None else "refused by both"] += 1
        counts["from the start"] += composer.from_the_start
        counts["sets of choices"] += len(composer._bases)
    with capsys.disabled():
        print(f"\n{dict(counts)}")
    assert counts["pairs"] == LISTS * TREES
    assert counts["composed"] > counts["pairs"] / 3
    assert counts["from the start"] < counts["pairs"] / 4
