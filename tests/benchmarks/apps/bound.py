"""The same app with this package: a model, a cached method, `exca.hydra.main`."""

from pydantic import BaseModel

import exca
import exca.hydra


class Square(BaseModel):
    """A task of no weight."""

    x: int = 0
    infra: exca.TaskInfra = exca.TaskInfra(version="1")

    @infra.apply
    def run(self) -> float:
        """Return the square of ``x``."""
        return float(self.x**2)


@exca.hydra.main(Square)
def main(square: Square) -> float:
    """Return the value of the task."""
    return square.run()


main()
