"""The scenarios that measure lm-netpipe: rows of the table in scenarios.py."""


def rows(scenario):
    for name, model in (("em", "e1000"), ("em-82574", "e1000e"), ("igb", "igb")):
        yield scenario(f"netpipe-{name}", f"round trips and streams on two {model}: LM, then Linux's own driver",
                       "netpipe_run.against_linux", (model, model), seconds=240)
    yield _jumbo(scenario, "igb", "igb")


def named(scenario):
    """Run by name only: on an 82540EM the exchange stops after some tens of thousands of frames, cause not found."""
    yield _jumbo(scenario, "em", "e1000")


def _jumbo(scenario, name, model):
    return scenario(f"jumbo-{name}", f"MTU 9000 end to end on two {model}", "netpipe_run.jumbo", (model, model), seconds=240)
