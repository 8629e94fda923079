"""The Hydra app: one training, or with ``-m`` a sweep; the number it returns is what a sweeper optimises.

Example
-------
From the root of the repository::

    python docs/examples/digits/train.py model=mlp optim.lr=0.03
    python docs/examples/digits/train.py -m model=softmax,mlp optim.lr=0.01,0.03,0.1 seed=0,1 infra=local
"""

from __future__ import annotations

from digits import Experiment

import exca.hydra


@exca.hydra.main(Experiment, config_path="../../../conf", config_name="config")
def main(experiment: Experiment) -> float:
    """Return the fraction of unseen digits that are read correctly."""
    return experiment.run()["test_accuracy"]


if __name__ == "__main__":
    main()
