import time
from guest import note, check
import subprocess, os
def run(guest):
    first, second = guest.devices()
    k=0
    for label, opts, log in (("plain", (), True), ("nolog", (), False), ("nolog zero", ("--checksum=zero","--require=headers,checksum,tags"), False)):
        k+=1
        t=time.monotonic()
        echo = guest.launch(f"echo{k}", 1, second, "--forward-mode=echo", *opts, log=log)
        t1=time.monotonic()
        ping = guest.launch(f"ping{k}", 0, first, "--forward-mode=ping", "--txsize=32551", "--count=60", *opts, log=log)
        t2=time.monotonic()
        ping.fine(100)
        echo.stop(20)
        p=ping.summary()["ping"][0]
        note(label, "start", round(t1-t,2), round(t2-t1,2), "all", round(time.monotonic()-t2,2), {k2: p[k2]//1000 if p[k2] else p[k2] for k2 in ("min_ns","median_ns","max_ns")}, "elapsed", ping.summary()["elapsed_ns"]//1000000)
    return {}
