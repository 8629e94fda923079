"""WHERE results live: uid folders with a result, its manifests and a claim. Never sees a model."""

from exca.store._blobs import array_bytes, read_array
from exca.store._claims import Claim, ClaimWatch
from exca.store._entry import Entry, Outcome, Store, Waiter
from exca.store._files import Permissions, make_folder, remove_quietly, write_whole
from exca.store._folder import FolderEntry, FolderStore
from exca.store._frames import frame_bytes, read_frame
from exca.store._memory import MemoryStore
from exca.store._mounts import is_remote
from exca.store._pickles import check_trust, dump_pickle, load_pickle
from exca.store._values import NoBlobs, NotSafelyStorable, decode, encode, is_immutable

__all__ = [
    "Claim",
    "ClaimWatch",
    "Entry",
    "FolderEntry",
    "FolderStore",
    "MemoryStore",
    "NoBlobs",
    "NotSafelyStorable",
    "Outcome",
    "Permissions",
    "Store",
    "Waiter",
    "array_bytes",
    "check_trust",
    "decode",
    "dump_pickle",
    "encode",
    "frame_bytes",
    "is_immutable",
    "is_remote",
    "load_pickle",
    "make_folder",
    "read_array",
    "read_frame",
    "remove_quietly",
    "write_whole",
]
