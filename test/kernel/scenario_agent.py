"""The judge's hands over a scenario: between what connections send, commands run in namespaces that come and go. Reads one
JSON document from standard input, writes one to standard output. Standard library only; run as root. Used by
test/kernel/scenario-judge.ts.
"""

import errno
import json
import os
import socket
import subprocess
import sys

from agent import Judge, Program, Tap, enter, leave, name_of

SETTLE = 0.06


class LiveTap(Tap):
    """A tap that learns of devices that come while it listens."""

    def read(self, frames):
        first = len(frames)
        super().read(frames)
        if all(not frame["dev"].isdigit() for frame in frames[first:]):
            return
        enter(self.netns)
        self.names.update(socket.if_nameindex())
        leave()
        for frame in frames[first:]:
            if frame["dev"].isdigit():
                frame["dev"] = self.names.get(int(frame["dev"]), frame["dev"])

    def __init__(self, name, netns):
        self.netns = netns
        super().__init__(name, netns)


class ScenarioJudge(Judge):
    def __init__(self, spec):
        super().__init__({**spec, "namespaces": {}, "listeners": []})
        self.netns = dict(spec["namespaces"])
        self.taps = [LiveTap(name, self.netns[name]) for name in spec["watched"] if name in self.netns]
        self.watched = set(spec["watched"])
        self.by_namespace = {}
        self.open = {}
        self.outputs = []
        for one in spec["listeners"]:
            self.listen(one)

    def listen(self, one):
        program = Program(one, self.netns[one["ns"]])
        self.programs.append(program)
        self.by_namespace.setdefault(one["ns"], []).append(program)

    def act(self, action):
        return getattr(self, "do_" + action["do"])(action)

    def do_settle(self, action):
        self.turn([], action["seconds"])

    def do_run(self, action):
        argv = ["ip", "netns", "exec", self.netns[action["ns"]], *action["argv"]]
        done = subprocess.run(argv, input=action.get("stdin") or "", capture_output=True, text=True)
        if done.returncode != action["code"]:
            raise SystemExit("%s: exit %d, %s" % (" ".join(argv), done.returncode, done.stderr))
        self.quiet(action["ns"])
        if action["shown"]:
            self.outputs.append({"ns": action["ns"], "argv": action["argv"], "text": done.stdout})
        self.turn([], 0)

    def quiet(self, name):
        """Frames of a device that has just come leave with their checksums filled in."""
        enter(self.netns[name])
        devices = [dev for _, dev in socket.if_nameindex()]
        leave()
        for dev in devices:
            if (name, dev) in self.quieted:
                continue
            self.quieted.add((name, dev))
            words = ["ethtool", "-K", dev, *"tx off tso off gso off gro off rx off".split()]
            # Neighbours in use are not asked again: the real run takes longer than the emulated one.
            patient = "net.ipv4.neigh.%s.delay_first_probe_time=600" % dev
            for line in (words, ["sysctl", "-qw", patient]):
                subprocess.run(["ip", "netns", "exec", self.netns[name], *line], capture_output=True)

    quieted = set()

    def do_add(self, action):
        name, netns = action["ns"], action["netns"]
        subprocess.run(["ip", "netns", "add", netns], check=True)
        knobs = ["net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1", *action["knobs"]]
        subprocess.run(["ip", "netns", "exec", netns, "sysctl", "-qw", *knobs], check=True)
        self.netns[name] = netns
        if name in self.watched:
            self.taps.append(LiveTap(name, netns))

    def do_remove(self, action):
        name = action["ns"]
        self.turn([], 0)
        self.do_stop(action)
        for tap in [one for one in self.taps if one.name == name]:
            tap.read(self.frames)
            self.taps.remove(tap)
            tap.ring.close()
            tap.socket.close()
        self.quieted = {one for one in self.quieted if one[0] != name}
        subprocess.run(["ip", "netns", "del", self.netns.pop(name)], check=True)
        self.turn([], 0.1)

    def do_listen(self, action):
        for one in action["listeners"]:
            self.listen(one)

    def do_stop(self, action):
        for program in self.by_namespace.pop(action["ns"], []):
            self.programs.remove(program)
            for one in program.sockets():
                one.close()
        self.turn([], SETTLE)

    def do_open(self, action):
        enter(self.netns[action["ns"]])
        kind = socket.SOCK_STREAM if action["protocol"] == "tcp" else socket.SOCK_DGRAM
        one = socket.socket(socket.AF_INET, kind)
        leave()
        one.setblocking(False)
        one.bind(("0.0.0.0", action["sourcePort"]))
        self.open[action["name"]] = one
        failed = one.connect_ex((action["address"], action["port"]))
        if action["protocol"] == "udp":
            return self.exchange(one, action)
        if failed not in (0, errno.EINPROGRESS):
            return name_of(failed)
        if self.turn([(one, "w")], action["limit"]) is None:
            return "no answer"
        failed = one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        return name_of(failed) if failed else "connected"

    def do_send(self, action):
        return self.exchange(self.open[action["name"]], action)

    def exchange(self, one, action):
        try:
            one.send(action["data"].encode())
            if self.turn([(one, "r")], action["limit"]) is None:
                return "no answer"
            return "an answer" if one.recv(65536) else "the peer closed its side"
        except OSError as error:
            return name_of(error.errno)

    def do_close(self, action):
        self.open.pop(action["name"]).close()


def main():
    spec = json.load(sys.stdin)
    judge = ScenarioJudge(spec)
    for name in list(judge.netns):
        judge.quiet(name)
    judge.turn([], 0.05)
    results = []
    for action in spec["actions"]:
        told = judge.act(action)
        if told is not None:
            results.append(told)
            judge.turn([], SETTLE)
    judge.turn([], 0.3)
    judge.frames.sort(key=lambda frame: frame["time"])
    json.dump({"results": results, "frames": judge.frames, "outputs": judge.outputs}, sys.stdout)
    for netns in judge.netns.values():
        if netns not in spec["namespaces"].values():
            subprocess.run(["ip", "netns", "del", netns])


if __name__ == "__main__":
    os.chdir(os.path.dirname(os.path.abspath(__file__)))
    main()
