#!/usr/bin/env python3
"""man.py PROGRAM: the manual page of a program that was built, on standard output.

OPTIONS and the one line of NAME are what `PROGRAM -- --help` says, so they cannot grow stale. The other sections are in
lm-testpmd.txt, lm-netpipe.txt and lmd.txt beside this file: a line in capitals begins a section, a line that is
indented by four is shown as it stands, an empty line ends a paragraph.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
SECTION = {"lmd": 8}


def die(why):
    print(f"man.py: {why}", file=sys.stderr)
    sys.exit(1)


def roff(text):
    """Text that means itself."""
    text = text.replace("\\", r"\e").replace("-", r"\-")
    return re.sub(r"(?m)^(?=[.'])", r"\\&", text)


def bold(text):
    return r"\fB" + roff(text) + r"\fR"


def flag(line):
    """`-i, --interactive` and `--rxd <N>` as a page shows them."""
    return re.sub(r"<([^>]*)>|(-?-[a-z-]+)|([^<-]+)",
                  lambda m: rf"\fI{roff(m[1])}\fR" if m[1] else bold(m[2]) if m[2] else roff(m[3]), line)


def options(text):
    """What clap printed: a line for the option, indented lines for what it does."""
    for block in re.split(r"\n\n(?= {2,6}-)", text.strip("\n")):
        first, *rest = block.splitlines()
        yield ".TP"
        yield flag(first.strip())
        began = False
        for line in (line.strip() for line in rest):
            if not line:
                if began:
                    yield ".sp"
                continue
            value = re.fullmatch(r"- ([\w-]+): +(.*)", line)
            if value:
                yield ".br"
                yield f"{bold(value[1])}: {roff(value[2])}"
            else:
                yield roff(line)
            began = True


def prose(text):
    """The sections of one of the files beside this one."""
    open_paragraph = shown = False
    for line in text.splitlines():
        if shown and not line.startswith("    "):
            yield ".EE"
            yield ".RE"
            shown = False
        if re.fullmatch(r"[A-Z][A-Z ]+", line):
            yield f".SH {line}"
            open_paragraph = True
        elif line.startswith("    "):
            if not shown:
                yield ".sp"
                yield ".RS 4"
                yield ".EX"
            shown = True
            yield roff(line[4:])
        elif not line:
            open_paragraph = False
        else:
            if not open_paragraph:
                yield ".PP"
            open_paragraph = True
            yield roff(line)
    if shown:
        yield ".EE"
        yield ".RE"


def page(program):
    name = os.path.basename(program)
    if not (HERE / f"{name}.txt").exists():
        die(f"there is no {name}.txt beside it: the programs are lm-testpmd, lm-netpipe and lmd")
    if not shutil.which(program):
        die(f"there is no program {program}: build it, and name its path, such as target/release/{name}")
    said = subprocess.run([program, "--", "--help"], capture_output=True, text=True, check=False)
    parts = re.fullmatch(r"(.*?)\n\nUsage: .*?\n\nOptions:\n(.*?)(?:\n\n(?! )(.*))?\n*", said.stdout, re.DOTALL)
    if said.returncode or not parts:
        die(f"{program} -- --help ended with {said.returncode} and said: {said.stderr or said.stdout[:200]}")
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.split()[-1]
    what = parts[1][0].lower() + parts[1][1:].split(":")[0]
    section = SECTION.get(name, 1)
    # The options go before the first section that is not one of these.
    before, after = re.split(r"(?m)^(?=(?:EXIT STATUS|FILES|EXAMPLES)$)", (HERE / f"{name}.txt").read_text(), maxsplit=1)
    yield f'.TH {name.upper()} {section} "" "LM {version}" "{"System Administration" if section == 8 else "User Commands"}"'
    yield ".SH NAME"
    yield f"{roff(name)} \\- {roff(what)}"
    yield ".SH SYNOPSIS"
    yield f"{bold(name)} [\\fIEAL options\\fR] \\fB\\-\\-\\fR [\\fIoptions\\fR]"
    yield from prose(before)
    yield ".SH OPTIONS"
    yield "What stands before the double dash is for DPDK's environment abstraction layer (EAL), as with every DPDK"
    yield f"application: {bold(name + ' --help')} lists that, too."
    yield from options(parts[2])
    yield from prose(after)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        die("say one program that was built: man.py target/release/lmd")
    print("\n".join(page(sys.argv[1])))
