"""A guest: QEMU's command line, and what is said to and fro while it runs."""

import json
import os
import pathlib
import shutil
import socket
import subprocess
import threading
import time

BINARY = "qemu-system-x86_64"
PCI_EXPRESS = ("e1000e", "igb")
MEGABYTES = 768
# Of 2 MiB: what each program with -m 64 takes, and what they may grow by. The guest's start is longer by the
# zeroing of each.
HUGEPAGES, MORE = 34, 30
# The kernel tests its ciphers and loads certificates at every start, which takes a second here.
START = ("cryptomgr.notests=1", "initcall_blacklist=crypto_kdf108_init,load_system_certificate_list")
# Without its fast string operations: QEMU does those byte by byte, and counts each as an instruction, where a
# processor moves a line of its cache at once. The kernel copies eight bytes an instruction then.
PROCESSOR = "max,-erms,-fsrm"
# Virtual time that depends on nothing but the instructions that were executed, one nanosecond each. It is
# recorded for the order that brings, nobody wants the record: else QEMU's main loop may see that the
# processor has halted before it sees how far it got, by some
# 200 instructions, and let the time until its next timer pass from there. (What the host sends is not heard
# then.)
ICOUNT = ("-icount", "shift=0,sleep=off,rr=record,rrfile=/dev/null", "-accel", "tcg,thread=single", "-rtc",
          "base=2024-01-01,clock=vm", "-seed", "1", "-cpu", f"{PROCESSOR},-rdrand,-rdseed")
REAL_TIME = ("-accel", "tcg,thread=multi", "-cpu", PROCESSOR)


def command(scenario, kernel, initramfs, sockets, seconds, *, icount=False, full=False):
    words = [
        BINARY, "-machine", "q35", *(ICOUNT if icount else REAL_TIME), "-smp", "1", "-m",
        str(MEGABYTES), "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-kernel",
        str(kernel), "-initrd",
        str(initramfs), "-serial", "stdio", "-chardev",
        f"socket,id=control,path={sockets['control']},server=on,wait=off", "-serial", "chardev:control",
        "-qmp", f"unix:{sockets['qmp']},server=on,wait=off"
    ]
    # A host that is busy may hold the timer up for longer than the kernel waits for it at boot.
    arguments = [
        "console=ttyS0", "quiet", "panic=-1", "nokaslr", "mitigations=off", "no_timer_check", *START,
        f"hugepages={HUGEPAGES * scenario.programs + MORE}", f"lm.scenario={scenario.name}",
        f"lm.seconds={seconds}"
    ]
    if full:
        arguments.append("lm.full=1")
    if icount:
        arguments += ["norandmaps", "random.trust_cpu=off", "lm.icount=1"]
    if scenario.vfio:
        words += ["-device", "intel-iommu,intremap=on"]
        arguments.append("intel_iommu=on")
        if scenario.direct:
            arguments.append("iommu=pt")
    for i, model in enumerate(scenario.cards):
        words += ["-netdev", f"hubport,id=n{i},hubid={scenario.wires[i] if scenario.wires else 1}"]
        bus = ""
        if model in PCI_EXPRESS:
            words += [
                "-device",
                f"pcie-root-port,id=rp{i},chassis={i + 1},slot={i + 1},addr={i + 4}.0,io-reserve=4K"
            ]
            bus = f",bus=rp{i}"
        # By a timer, and without event notifiers: both others are served by another thread, at no set virtual
        # time.
        how = ",ioeventfd=off,tx=timer,x-txtimer=20000" if model.startswith("virtio") else ""
        words += ["-device", f"{model}{how},id=card{i},netdev=n{i},mac=52:54:00:00:00:{i + 1:02x}{bus}"]
    return [*words, "-append", " ".join(arguments)]


class Failure(Exception):
    """A guest did not say that all was well."""


def run(scenario, kernel, initramfs, where, **how):
    """Runs a scenario to its end, and gives the figures that it reports; its console's text goes to
    `where`.
    """
    shutil.rmtree(where, ignore_errors=True)
    where.mkdir(parents=True)
    sockets = {name: where / name for name in ("control", "qmp")}
    seconds = scenario.seconds * (60 if how.get("full") else 10 if how.get("icount") else 1)
    words = command(scenario, kernel, initramfs, sockets, seconds, **how)
    (where / "command").write_text(" ".join(words) + "\n")
    # It ends itself before.
    seconds += 30
    with open(where / "console", "wb") as console:
        guest = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=console, stderr=subprocess.STDOUT,
                                 cwd=where)
        try:
            control = Control(guest, where)
            try:
                guest.wait(seconds)
            except subprocess.TimeoutExpired:
                raise Failure(f"it did not end within {seconds} s") from None
            return control.figures()
        finally:
            guest.kill()
            guest.wait()


class Control:
    """The line between guest and host: a JSON object a line. The guest asks for what only QEMU can do, and
    tells how it ended."""

    def __init__(self, guest, where):
        self.guest, self.where = guest, where
        self.told = None
        self.thread = threading.Thread(target=self._listen, daemon=True)
        self.thread.start()

    def figures(self):
        self.thread.join(5)
        if self.told is None:
            raise Failure(f"it ended without a word, QEMU's exit code is {self.guest.returncode}")
        if self.told["error"]:
            raise Failure(self.told["error"])
        return self.told["figures"]

    def _listen(self):
        line = self._connect("control")
        if line is None:
            return
        with line, line.makefile("r", errors="replace") as lines:
            for text in lines:
                # A serial line may begin with noise.
                word = json.loads(text[text.index("{"):]) if "{" in text else {}
                if "ask" in word:
                    answer = self._monitor(word["ask"], word["arguments"])
                    line.sendall(json.dumps(answer).encode() + b"\n")
                elif word:
                    self.told = word

    def _connect(self, name):
        path = self.where / name
        while self.guest.poll() is None:
            s = socket.socket(socket.AF_UNIX)
            try:
                # A socket's path is short: from a directory that is ours.
                s.connect(short(path))
                return s
            except OSError:
                s.close()
                time.sleep(0.05)
        return None

    def _monitor(self, order, arguments):
        s = self._connect("qmp")
        if s is None:
            return None
        with s, s.makefile("rw") as lines:
            for words in ({"execute": "qmp_capabilities"}, {"execute": order, "arguments": arguments}):
                lines.readline()
                lines.write(json.dumps(words) + "\n")
                lines.flush()
            answer = json.loads(lines.readline())
            while "event" in answer:
                answer = json.loads(lines.readline())
            if "error" in answer:
                raise Failure(f"{order}: {answer['error']['desc']}")
            return answer["return"]


def short(path):
    """A socket's path, relative if that is shorter: 107 characters are all there is."""
    return min(str(path), os.path.relpath(path), key=len)
