#!/usr/bin/env python3
"""Runs every session of test/golden/ip-sessions.txt (or of the file named, such as ip6-sessions) in fresh network namespaces and records what the real tools say.

Usage: sudo scripts/record-ip-golden.py [NAME]  (writes test/golden/NAME.json)
A session starts with `# title`; `NS: command` runs inside a namespace, other lines at the outside. Namespaces are prefixed
so that nothing of the machine is touched, and the prefix is taken out of what is recorded. IPv6 is off in every namespace.
"""
import json, os, pathlib, re, subprocess, sys, time

PREFIX = "hwgold-"
here = pathlib.Path(__file__).resolve().parent.parent / "test" / "golden"


def run(argv):
    done = subprocess.run(argv, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def clean(text):
    # Groups that a device listens to and IPv6's lines are not modelled; blanks of the machine's own files neither.
    text = text.replace(PREFIX, "")
    return "".join(line + "\n" for line in text.split("\n")[:-1] if not re.search(r"(33:33|01:00:5e).* self permanent$", line)) + text.split("\n")[-1]


def session(lines):
    names, steps = [], []
    try:
        for line in lines:
            match = re.match(r"([a-z]+): (.*)$", line)
            ns, command = (match[1], match[2]) if match else (None, line)
            argv = command.split()
            if argv[:3] == ["ip", "netns", "add"] and len(argv) > 3:
                names.append(argv[3])
            real = [PREFIX + word if word in names else word for word in argv]
            if ns is not None:
                real = ["ip", "netns", "exec", PREFIX + ns] + real
            code, out, err = run(real)
            if argv[:3] == ["ip", "link", "set"] or argv[:3] == ["bridge", "link", "set"]:
                time.sleep(1.2)  # the kernel notices changes of carrier up to a second later
            if argv[:3] == ["ip", "netns", "add"] and code == 0:
                run(["ip", "netns", "exec", PREFIX + argv[3], "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1"])
            steps.append({"ns": ns, "line": command, "code": code, "stdout": clean(out), "stderr": clean(err)})
    finally:
        for name in names:
            run(["ip", "netns", "del", PREFIX + name])
    return steps


def main():
    name = sys.argv[1] if len(sys.argv) > 1 else "ip-sessions"
    sessions, title = [], None
    for line in (here / f"{name}.txt").read_text().split("\n"):
        line = line.strip()
        if line.startswith("# "):
            sessions.append({"title": line[2:], "lines": []})
        elif line:
            sessions[-1]["lines"].append(line)
    origin = {"kernel": os.uname().release, "ip": run(["ip", "-V"])[1].strip(), "sysctl": run(["sysctl", "-V"])[1].strip(), "by": "scripts/record-ip-golden.py"}
    recorded = [{"title": s["title"], "steps": session(s["lines"])} for s in sessions]
    (here / f"{name}.json").write_text(json.dumps({"origin": origin, "sessions": recorded}, indent=1) + "\n")


main()
