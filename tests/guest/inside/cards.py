"""The guest's network cards: found, bound to a driver, cut into virtual functions."""

import functools
import mmap
import pathlib
import struct
import subprocess
import time

DEVICES = pathlib.Path("/sys/bus/pci/devices")
DRIVERS = pathlib.Path("/sys/bus/pci/drivers")
MODULES = pathlib.Path("/modules")
ETHERNET = "0x020000"
# Linux's driver of each model.
LINUX = {"e1000": "e1000", "e1000-82545em": "e1000", "e1000e": "e1000e", "igb": "igb"}


@functools.cache
def load(module):
    """Loads a module and those that it needs; the order is from the image's builder. What is built into the kernel is not in it."""
    needs = dict(line.split(maxsplit=1) if " " in line.strip() else (line.strip(), "")
                 for line in (MODULES / "order").read_text().splitlines())
    if module not in needs:
        return
    for need in needs[module].split():
        load(need)
    subprocess.run(["insmod", MODULES / f"{module}.ko"], check=True)


def addresses():
    """PCI addresses of all cards, in the order in which QEMU was given them."""
    return sorted(d.name for d in DEVICES.iterdir() if (d / "class").read_text().strip() == ETHERNET)


def mac(address):
    """QEMU was told of these, in the same order."""
    return f"52:54:00:00:00:{addresses().index(address) + 1:02x}"


def bind(address, driver):
    """Gives a device to a driver, whoever had it before."""
    device = DEVICES / address
    load(driver.replace("-", "_"))
    if (device / "driver").exists():
        if (device / "driver").resolve().name == driver:
            return
        (device / "driver/unbind").write_text(address)
    (device / "driver_override").write_text(driver)
    (DRIVERS / driver / "bind").write_text(address)


def interface(address):
    """The name that Linux's driver gave to a card."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        names = [d.name for d in DEVICES.glob(f"{address}/net/*")]
        if names:
            return names[0]
        time.sleep(0.05)
    raise TimeoutError(f"{address} has no network interface")


def virtual_mac(number):
    """The address that the virtual function of a card is given."""
    return f"52:54:00:00:01:{number + 1:02x}"


def virtual_function(address, mac):
    """The first virtual function of a card that stays with Linux."""
    bind(address, "igb")
    name = interface(address)
    subprocess.run(["ip", "link", "set", name, "up"], check=True)
    (DEVICES / address / "sriov_numvfs").write_text("1")
    subprocess.run(["ip", "link", "set", name, "vf", "0", "mac", mac], check=True)
    return (DEVICES / address / "virtfn0").resolve().name


class Registers:
    """A card's registers, as its driver left them. (Intel's software developer's manuals, chapters 13 and
    8.)
    """

    CTRL, RCTL, RDBAL, RDBAH, RDLEN, RXDCTL = 0x0000, 0x0100, 0x2800, 0x2804, 0x2808, 0x2828
    VLAN_STRIP = 1 << 30  # CTRL.VME
    STRIP_CHECKSUM, LONG_PACKETS = 1 << 26, 1 << 5  # RCTL.SECRC, RCTL.LPE

    def __init__(self, address):
        with open(DEVICES / address / "resource0", "rb") as file:
            self.space = mmap.mmap(file.fileno(), 1 << 16, prot=mmap.PROT_READ)

    def __getitem__(self, offset):
        return struct.unpack_from("<I", self.space, offset)[0]
