"""The same tasks as a job array of exca 0.6: ``exca_array.py CLUSTER POINTS FOLDER``."""

import os
import sys
import time

from pydantic import BaseModel

import exca


class Square(BaseModel):
    """A task of no weight."""

    x: int = 0
    infra: exca.TaskInfra = exca.TaskInfra(version="1")

    @infra.apply
    def run(self) -> float:
        """Return the square of ``x``."""
        time.sleep(float(os.environ.get("NAP_S", 0)))
        return float(self.x**2)


def main() -> None:
    """Submit all, and read all results."""
    cluster, points, folder = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    first = Square(infra={"folder": folder, "cluster": cluster, "timeout_min": 10})
    with first.infra.job_array() as tasks:
        tasks.extend(first.infra.clone_obj(x=x) for x in range(points))
    assert [task.run() for task in tasks] == [float(x**2) for x in range(points)]


if __name__ == "__main__":  # workers of a pool import this file
    main()
