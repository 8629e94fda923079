"""An app whose model has no infra: its function is the computation."""

from __future__ import annotations

from pathlib import Path

import pydantic

import exca.hydra


class Bare(pydantic.BaseModel):
    x: pydantic.PositiveInt = 1
    trace: Path | None = None


@exca.hydra.main(Bare)
def main(bare: Bare) -> int:
    if bare.trace is not None:
        with open(bare.trace, "a") as stream:
            stream.write(f"{bare.x}\n")
    return bare.x * 10


if __name__ == "__main__":
    main()
