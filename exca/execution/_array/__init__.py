"""One array on disk: its folder, the workers that drain it and the supervisor that keeps them going.

The processes of a queue start with these files alone (see `_boot`), so they import nothing but the standard library
and the files of the package that do the same (`exca.liveness`, `exca.raised`), and never look upwards.

Words of this folder, and what others call it:

============  ====================================================================================
array         job array; one job is an array of one
call, index   task, task id
supervisor    master process of a worker pool; daemon of a local queue (`_supervisor`)
agent         the same for one worker of a scheduler, on its node: launcher, `slurmstepd` (`_agent`)
crew          the pool's worker processes (`_crew`); desk: the supervisor's event loop (`_desk`)
worker        worker process (`_worker`, `_serving`, `_agent_worker`); its name is its id
ticket        lock file, or lease without an end: who has taken a call (`ArrayPaths.take`)
verdict       final state with a reason; written once (`Verdict`)
sentence      request to cancel a call that runs, with the verdict it will get
departure     exit of a child process, with its status (`_departures`)
slot          permit of a semaphore that all arrays of a user on a machine share (`_slots`)
order         folder of the next array, sent to a supervisor or to an idle worker
owner         process that a pool belongs to and ends with, at the other end of a socket (`_owner`)
posting       job description for the agents; schedule: the ids the scheduler gave (`_schedule`)
============  ====================================================================================

The life of one call, by the symlinks of `_layout`:

1. The submitter writes ``call.pkl``, and the array's files, ``array.json`` last; then it starts a supervisor, or asks
   a scheduler for agents. *Pending.*
2. A worker makes ``workers/NAME`` (its stamp: machine, pid, start time), and then ``tickets/3``, whose text is its
   name. Only one can. The supervisor reads it to know who runs what, readers to know whom to look for. *Running.*
3. The worker writes ``result.pkl``, then ``ended/3``: the verdict. Whoever waits reads these two and nothing else.
4. To cancel: ``tickets/3`` taken by nobody is taken by "cancelled", which ends it. Else ``sentences/3`` is made; the
   supervisor or the agent finds it, ends the worker, and gives the verdict that stands in it. So it does with a
   call that takes too long.

When a process dies:

==============  ==================================================================================
submitter       nothing happens to a queue; a pool that it owned ends
worker          the supervisor or the agent gives the call a verdict with the exit status, runs
                `on_lost` of whoever submitted it, and forks another worker
supervisor      a worker finishes the call it is in, and leaves; whoever asks next finds the stamp
                dead, and ends the other calls: never started where there is no ticket, else lost
agent           its worker is killed; who asks next learns from the scheduler, and ends the calls
machine, node   as the supervisor or the agent; from elsewhere it shows in an old ``heartbeat``,
                or in what the scheduler says
==============  ==================================================================================

Two may give a verdict at once; the first symlink stands.
"""
