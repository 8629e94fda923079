"""One array on disk: its folder, the workers that drain it and the supervisor that keeps them going.

The processes of a queue start with these files alone (see `_boot`), so they import nothing but the standard library
and `exca.liveness`, and never look upwards.
"""
