"""How a value becomes JSON info and payload bytes, and comes back as it was."""

from exca.cachedict._formats._codec import delete, dump, load
from exca.cachedict._formats._context import DumpContext
from exca.cachedict._formats._payloads import PayloadSink, PayloadSource
from exca.cachedict._formats._writing import check_cache_type

__all__ = ["DumpContext", "PayloadSink", "PayloadSource", "check_cache_type", "delete", "dump", "load"]
