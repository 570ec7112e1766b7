"""The scenarios that measure lm-netpipe: rows of the table in scenarios.py."""


def rows(scenario):
    for name, model in (("em", "e1000"), ("em-82574", "e1000e"), ("igb", "igb")):
        yield scenario(f"netpipe-{name}", f"round trips and streams on two {model}: LM, then Linux's own driver",
                       "netpipe_run.against_linux", (model, model), seconds=240)
    for name, model in (("em", "e1000"), ("igb", "igb")):
        yield scenario(f"jumbo-{name}", f"MTU 9000 end to end on two {model}", "netpipe_run.jumbo", (model, model),
                       seconds=240)
