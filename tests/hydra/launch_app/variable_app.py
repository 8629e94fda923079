"""An app that returns what it finds in its environment."""

from __future__ import annotations

import os

import pydantic

import exca
import exca.hydra


class Seen(pydantic.BaseModel):
    x: int = 1
    note: str = "nothing"
    infra: exca.TaskInfra = exca.TaskInfra()

    @infra.apply
    def look(self) -> str:
        return f"{os.environ.get('SEEN_VARIABLE')} {self.note}"


@exca.hydra.main(Seen)
def main(seen: Seen) -> str:
    text = f"{seen.look()} {os.environ.get('SEEN_VARIABLE')}"
    print(text)
    return text


if __name__ == "__main__":
    main()
