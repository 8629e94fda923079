"""``make check-wheel``: run by an environment that has the wheel and nothing else of this repository.

Not collected by pytest: it must not see the checkout, nor the tools of a developer.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from importlib.metadata import distribution, entry_points
from importlib.util import find_spec
from pathlib import Path

APP = """
import exca, exca.hydra, pydantic

class Square(pydantic.BaseModel):
    x: int = 2
    infra: exca.TaskInfra = exca.TaskInfra(version="1")

    @infra.apply
    def run(self) -> int:
        return self.x**2

@exca.hydra.main(Square)
def main(square: Square) -> int:
    return square.run()

main()
"""


def check_contents() -> None:
    """The package comes from site-packages, typed, with its plugin, and without developers' tools."""
    import exca

    package = Path(exca.__file__).parent
    assert package.parent.name == "site-packages", package
    assert (package / "py.typed").is_file()
    assert not (package.parent / "hydra_plugins" / "__init__.py").exists()
    assert find_spec("pytest") is None, "this environment must hold the wheel and its dependencies only"
    assert [point.value for point in entry_points(group="hydra.plugins")] == ["hydra_plugins.hydra_exca"]


def check_discovery() -> None:
    """Hydra finds the launcher by scanning, as it does in a user's environment."""
    from hydra.core.plugins import Plugins
    from hydra.plugins.launcher import Launcher

    found = [launcher.__module__ for launcher in Plugins.instance().discover(Launcher)]
    assert any(module.startswith("hydra_plugins.hydra_exca") for module in found), found


def check_sweep() -> None:
    """A sweep runs in processes of this machine and leaves its table."""
    with tempfile.TemporaryDirectory() as folder:
        app = Path(folder, "square.py")
        app.write_text(APP)
        command = [sys.executable, str(app), "-m", "x=1,2,3", "infra=local", "infra.folder=cache"]
        subprocess.run(command, cwd=folder, check=True, stdin=subprocess.DEVNULL)
        tables = list(Path(folder).glob("multirun/*/*/results.csv"))
        assert len(tables) == 1, tables
        assert len(tables[0].read_text().splitlines()) == 4


def check_commands() -> None:
    """Every command that the package declares starts."""
    declared = distribution("exca-hydra").entry_points.select(group="console_scripts")
    for command in declared:
        subprocess.run([str(Path(sys.executable).parent / command.name), "--help"], check=True)


if __name__ == "__main__":
    for check in (check_contents, check_discovery, check_sweep, check_commands):
        check()
        print(f"ok: {check.__name__}")
