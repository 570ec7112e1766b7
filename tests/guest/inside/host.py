"""The line to the host: what only QEMU can do is asked for, and how it all ended is told.

Nothing is heard from the host: when it answers depends on the host, and in virtual time nothing may. Who asks makes QEMU stop the
guest, by an instruction to a device that is there for that; when it goes on all is done, and to the guest no time has passed.
"""

import json
import termios
import tty


# The port of the device (pvpanic), and what makes QEMU pause.
PORT, PAUSE = 0x505, b"\1"


class Host:
    def __init__(self, path="/dev/ttyS1"):
        self.line = open(path, "r+b", buffering=0)
        tty.setraw(self.line.fileno(), termios.TCSANOW)
        self.ports = open("/dev/port", "r+b", buffering=0)

    def _say(self, **words):
        self.line.write(json.dumps(words).encode() + b"\n")
        termios.tcdrain(self.line.fileno())

    def ask(self, order, **arguments):
        """Has QEMU's monitor do something, and stands still until it is done. What goes wrong there ends the guest."""
        self._say(ask=order, arguments=arguments)
        self.ports.seek(PORT)
        self.ports.write(PAUSE)

    def link(self, number, up):
        """Plugs a card's cable in, or pulls it."""
        self.ask("set_link", name=f"card{number}", up=up)

    def ended(self, figures, error=None):
        self._say(figures=figures, error=error)
