"""What a computation is called: pure functions from a config to names, digests and plain data."""

from ._aliases import input_key, place_input
from ._confdict import ConfDict
from ._export import export
from ._identify import Identity, config_digest, identify
from ._names import computation_name, import_path, main_module_override, module_name
from ._yaml import dump_yaml, load_yaml

__all__ = [
    "ConfDict",
    "Identity",
    "computation_name",
    "config_digest",
    "dump_yaml",
    "export",
    "identify",
    "import_path",
    "input_key",
    "load_yaml",
    "main_module_override",
    "module_name",
    "place_input",
]
