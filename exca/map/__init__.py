"""A method over many items: each item computed once, by whoever comes first, and kept under its own name."""

from exca.map._calling import check_map_method, items_parameter
from exca.map._item_map import ItemMap
from exca.map._keys import MIN_LENGTH, ItemRules
from exca.map._settings import MapSettings

__all__ = ["MIN_LENGTH", "ItemMap", "ItemRules", "MapSettings", "check_map_method", "items_parameter"]
