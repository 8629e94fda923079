"""WHERE results live: uid folders with a result, its manifests and a claim. Never sees a model."""

from exca.store._entry import Entry, Outcome, Store, Waiter
from exca.store._folder import FolderEntry, FolderStore
from exca.store._memory import MemoryStore
from exca.store._values import is_immutable

__all__ = ["Entry", "FolderEntry", "FolderStore", "MemoryStore", "Outcome", "Store", "Waiter", "is_immutable"]
