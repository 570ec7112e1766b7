"""The line to the host: what only QEMU can do is asked for, and how it all ended is told."""

import json
import termios
import tty


class Host:
    def __init__(self, path="/dev/ttyS1"):
        self.line = open(path, "r+b", buffering=0)
        tty.setraw(self.line.fileno(), termios.TCSANOW)

    def _say(self, **words):
        self.line.write(json.dumps(words).encode() + b"\n")

    def ask(self, order, **arguments):
        """Has QEMU's monitor do something, waits until it is done, and gives its answer: in a scenario that
        `asks`.
        """
        self._say(ask=order, arguments=arguments)
        answer = b""
        while not answer.endswith(b"\n"):
            answer += self.line.read(4096)
        return json.loads(answer)

    def link(self, number, up):
        """Plugs a card's cable in, or pulls it."""
        self.ask("set_link", name=f"card{number}", up=up)

    def ended(self, figures, error=None):
        self._say(figures=figures, error=error)
        termios.tcdrain(self.line.fileno())
