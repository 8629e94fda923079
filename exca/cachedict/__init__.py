"""A dict on disk, for any number of writers: append-only segments, an index, and formats chosen by type."""

from exca.cachedict._cachedict import CacheDict
from exca.cachedict._catalog import DamagedCacheWarning
from exca.cachedict._formats import DumpContext, check_cache_type

__all__ = ["CacheDict", "DamagedCacheWarning", "DumpContext", "check_cache_type"]
