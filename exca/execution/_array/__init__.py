"""One array on disk: its folder, the workers that drain it and the supervisor that keeps them going.

The processes of a queue start with these files alone (see `_boot`), so they import nothing but the standard library
and the files of the package that do the same (`exca.liveness`, `exca.raised`), and never look upwards.
"""
