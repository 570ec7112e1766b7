"""The scenarios that measure lm-netpipe: rows of the table in scenarios.py."""


def rows(scenario):
    yield receive_modes(scenario, "igb", "igb")
    yield against_linux(scenario, "igb", "igb")
    for name, model in (("igb", "igb"), ("em", "e1000")):
        yield scenario(f"jumbo-{name}", f"MTU 9000 end to end on two {model}", "netpipe_run.jumbo",
                       (model, model), seconds=480)


def against_linux(scenario, name, model):
    return scenario(f"netpipe-{name}", f"round trips and streams on two {model}: LM, then Linux's own driver",
                    "netpipe_run.against_linux", (model, model), seconds=480)


def receive_modes(scenario, name, model):
    # igb's queues interrupt by messages, which vfio-pci passes on; em has one line, which uio_pci_generic
    # passes on.
    return scenario(f"rx-mode-{name}",
                    f"receive modes on two {model}: latency and CPU of poll, interrupt and adaptive",
                    "netpipe_run.receive_modes", (model, model), vfio=model == "igb", seconds=600)


def named(scenario):
    """Run by name, as `make measure` does: the same on the other cards."""
    for name, model in (("em", "e1000"), ("em-82574", "e1000e")):
        yield against_linux(scenario, name, model)
        yield receive_modes(scenario, name, model)
