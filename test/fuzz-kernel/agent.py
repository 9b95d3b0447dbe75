"""The judge's hands for many small labs: reads one lab a line, answers one line with what the real kernel made of it.

Each lab is built, probed and read in a process of its own whose namespaces have no names: they are gone when it ends.
Probes start at fixed distances, as in the emulator, so that what timers send falls between them on both sides.
Standard library only; run as root. Used by test/fuzz-kernel/real.ts.
"""

import errno
import fcntl
import json
import os
import re
import socket
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "kernel"))
from agent import CLONE_NEWNET, Judge, Tap, enter, libc, offloads_off  # noqa: E402

Tap.BLOCKS = 10

SIOCGIFFLAGS, SIOCSIFFLAGS = 0x8913, 0x8914
IFF_UP, IFF_RUNNING = 1, 0x40
SETTLE = 0.05
QUIET = 0.2


class Lab:
    def __init__(self, spec):
        self.spec = spec
        self.paths = {}
        self.handles = []
        self.index = 100
        for name in spec["namespaces"]:
            if libc.unshare(CLONE_NEWNET) != 0:
                raise OSError("unshare")
            handle = os.open("/proc/self/ns/net", os.O_RDONLY)
            self.handles.append(handle)
            self.paths[name] = "/proc/%d/fd/%d" % (os.getpid(), handle)
        for name in spec["namespaces"]:
            enter(self.paths[name])
            set_flags("lo", IFF_UP)
            for knob in spec["profile"]:
                must(write_knob(knob), knob)

    def commands(self, commands):
        """What each command complained about, or None. Neighbouring `ip` commands of a namespace share one process."""
        failures = []
        batch = []
        where = None
        for command in commands:
            argv = self.argv(command["argv"])
            plain = argv[0] == "ip" and not any(" " in word for word in argv)
            if batch and not (plain and command.get("ns") == where):
                failures += self.flush(batch, where)
                batch = []
            where = command.get("ns")
            if plain:
                # A batch knows no options: the whole of it is about the lab's family.
                batch.append(" ".join(word for word in argv[1:] if word != "-6"))
                continue
            if where is not None:
                enter(self.paths[where])
            if argv[0] == "sysctl":
                failures.append(write_knob(argv[-1]))
                continue
            done = subprocess.run(argv, input=command.get("stdin") or "", capture_output=True, text=True)
            failures.append(None if done.returncode == 0 else done.stderr.strip() or "exit %d" % done.returncode)
        return failures + (self.flush(batch, where) if batch else [])

    def argv(self, words):
        argv = list(words)
        for at, word in enumerate(argv):
            if word == "netns":
                argv[at + 1] = self.paths[argv[at + 1]]
        if argv[:3] == ["ip", "link", "add"] and "veth" in argv:
            # Ends of one veth pair with the same index get their carrier up to a second late.
            peer = argv.index("peer")
            argv[peer + 3 : peer + 3] = ["index", str(self.index + 1)]
            argv[4:4] = ["index", str(self.index)]
            self.index += 2
        return argv

    def flush(self, batch, where):
        if where is not None:
            enter(self.paths[where])
        family = ["-6"] if self.spec["family"] == "ipv6" else []
        done = subprocess.run(["ip", *family, "-force", "-batch", "-"], input="\n".join(batch) + "\n", capture_output=True, text=True)
        failures = [None] * len(batch)
        said = []
        for line in done.stderr.splitlines():
            found = re.fullmatch(r"Command failed -:(\d+)", line)
            if found:
                failures[int(found[1]) - 1] = " ".join(said) or "failed"
                said = []
            else:
                said.append(line)
        return failures

    def settle(self):
        """Turns the offloads of every device off, and waits until every device that is up has its carrier."""
        for path in self.paths.values():
            enter(path)
            names = [name for _, name in socket.if_nameindex()]
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
                for name in names:
                    offloads_off(one, name)
                    for knob in self.spec["deviceProfile"]:
                        must(write_knob(knob.replace("DEVICE", name)), knob)
                end = time.monotonic() + 1.2
                while time.monotonic() < end and any(not running(one, name) for name in names):
                    time.sleep(0.01)

    def probe(self):
        # Its sockets stay open until the tables are read: closing them sends packets.
        judge = self.judge = Judge({**self.spec, "namespaces": self.paths})
        judge.turn([], SETTLE)
        results = []
        late = 0.0
        start = time.monotonic()
        for one in self.spec["probes"]:
            late = max(late, time.monotonic() - start)
            results.append(judge.probe({**one, "settle": 0}))
            start += self.spec["slot"]
            judge.turn([], max(start - time.monotonic(), 0))
        judge.turn([], SETTLE)
        judge.frames.sort(key=lambda frame: frame["time"])
        return {"results": results, "frames": judge.frames, "late": late}

    def tables(self):
        """A namespace without rules has none to show and tracks nothing."""
        ruled = {command.get("ns") for command in self.spec["commands"] if command["argv"][0].endswith("-restore")}
        with_sets = {command.get("ns") for command in self.spec["commands"] if command["argv"][0] == "ipset"}
        found = {"rules": {}, "conntrack": {}, "neighbours": {}, "sets": {}}
        for name, path in self.paths.items():
            enter(path)
            found["neighbours"][name] = output("ip", "neigh", "show")
            found["sets"][name] = output("ipset", "save") if name in with_sets else ""
            savers = self.spec["savers"] if name in ruled else []
            found["rules"][name] = "".join(output(saver, "-c") for saver in savers)
            found["conntrack"][name] = output("conntrack", "-L", "-f", self.spec["family"]) if name in ruled else ""
        return found


def output(*argv):
    return subprocess.run(argv, capture_output=True, text=True).stdout


def must(failure, knob):
    if failure is not None:
        raise OSError("%s: %s" % (knob, failure))


def set_flags(name, flags):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        request = struct.pack("16sH14x", name.encode(), flags)
        fcntl.ioctl(one, SIOCSIFFLAGS, request)


def running(one, name):
    flags = struct.unpack("16sH14x", fcntl.ioctl(one, SIOCGIFFLAGS, struct.pack("16sH14x", name.encode(), 0)))[1]
    return not flags & IFF_UP or bool(flags & IFF_RUNNING)


def write_knob(text):
    """As `sysctl -qw NAME=VALUE`; what went wrong, or None."""
    name, value = text.split("=", 1)
    try:
        with open("/proc/sys/" + name.replace(".", "/"), "w") as knob:
            knob.write(value)
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    return None


def run(spec):
    lab = Lab(spec)
    build, rules = spec["commands"][: spec["built"]], spec["commands"][spec["built"] :]
    failures = lab.commands(build)
    lab.settle()
    if spec["family"] == "ipv6":
        # What devices say of themselves is said before rules count it.
        time.sleep(QUIET)
    failures += lab.commands(rules)
    seen = lab.probe()
    return {**seen, **lab.tables(), "failures": failures}


def main():
    for line in sys.stdin:
        spec = json.loads(line)
        there, here = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(there)
            # What the lab's programs print must not reach the answers.
            os.dup2(2, 1)
            try:
                answer = run(spec)
            except Exception as error:  # The driver decides what a lab that cannot be judged means.
                answer = {"broken": "%s: %s" % (type(error).__name__, error)}
            with os.fdopen(here, "w") as out:
                json.dump(answer, out)
            os._exit(0)
        os.close(here)
        with os.fdopen(there) as answers:
            text = answers.read()
        os.waitpid(child, 0)
        sys.stdout.write((text or json.dumps({"broken": "no answer"})) + "\n")
        sys.stdout.flush()


main()
