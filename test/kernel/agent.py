"""The judge's hands: opens sockets in namespaces that exist already, sends what a lab's probes say, and writes down
every frame on every interface and what each system call returned. Reads one JSON document from standard input, writes
one to standard output. Standard library only; run as root. Used by test/kernel/judge.ts.
"""

import ctypes
import errno
import fcntl
import json
import mmap
import os
import select
import socket
import struct
import subprocess
import sys
import time

CLONE_NEWNET = 0x40000000
ETH_P_ALL = 3
SOL_PACKET, PACKET_RX_RING, PACKET_VERSION, TPACKET_V2 = 263, 5, 10, 1
IP_RECVERR = 11
SO_TIMESTAMPNS = 35
libc = ctypes.CDLL(None, use_errno=True)
home = os.open("/proc/self/ns/net", os.O_RDONLY)


def enter(netns):
    """`netns` is a name as `ip netns` has it, or the path of a namespace's file."""
    handle = os.open(netns if "/" in netns else "/run/netns/" + netns, os.O_RDONLY)
    try:
        if libc.setns(handle, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns " + netns)
    finally:
        os.close(handle)


def is6(address):
    return ":" in address


def any_of(address):
    return "::" if is6(address) else "0.0.0.0"


def end_of(probe, port):
    """The address of a probe as connect() takes it; a link-local one with the index of its device."""
    if not is6(probe["address"]):
        return (probe["address"], port)
    return (probe["address"], port, 0, socket.if_nametoindex(probe["device"]) if probe.get("device") else 0)


def join(one, group, device):
    """The socket is in a multicast group on a device from now on."""
    index = socket.if_nametoindex(device)
    if is6(group):
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, socket.inet_pton(socket.AF_INET6, group) + struct.pack("i", index))
    else:
        one.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, struct.pack("4s4si", socket.inet_aton(group), bytes(4), index))


SIOCETHTOOL = 0x8946
# ETHTOOL_SRXCSUM, STXCSUM, SSG, STSO, SGSO, SGRO
OFFLOADS = (0x15, 0x17, 0x19, 0x1F, 0x24, 0x2C)


def offloads_off(one, device):
    """Frames leave with their checksums filled in, one packet a frame. `one` is any socket of the device's namespace."""
    for command in OFFLOADS if device != "lo" else ():
        value = ctypes.create_string_buffer(struct.pack("II", command, 0))
        try:
            fcntl.ioctl(one, SIOCETHTOOL, struct.pack("16sP8x", device.encode(), ctypes.addressof(value)))
        except OSError:
            pass  # Not every device has every offload.


def prepare(netns, knobs):
    """Sets every device of a namespace up for being watched. `knobs` are files below /proc/sys with DEVICE in them, and values."""
    enter(netns)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        for _, device in socket.if_nameindex():
            offloads_off(one, device)
            for path, value in knobs:
                with open("/proc/sys/" + path.replace("DEVICE", device), "w") as knob:
                    knob.write(value)
    leave()


def leave():
    libc.setns(home, CLONE_NEWNET)


class Tap:
    """
    One packet socket for all interfaces of a namespace. Its ring keeps each frame as it was when it passed: a plain
    socket would show bytes that the stack changed afterwards.
    """

    BLOCK, BLOCKS, FRAME = 1 << 18, 32, 4096

    def __init__(self, name, netns):
        self.name = name
        enter(netns)
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.socket.setsockopt(SOL_PACKET, PACKET_VERSION, TPACKET_V2)
        count = self.BLOCK // self.FRAME * self.BLOCKS
        self.socket.setsockopt(SOL_PACKET, PACKET_RX_RING, struct.pack("IIII", self.BLOCK, self.BLOCKS, self.FRAME, count))
        self.names = dict(socket.if_nameindex())
        leave()
        self.ring = mmap.mmap(self.socket.fileno(), self.BLOCK * self.BLOCKS)
        self.count = count
        self.at = 0
        self.latest = 0

    def read(self, frames):
        while True:
            base = self.at * self.FRAME
            status, _length, kept, mac, _net, seconds, nanos = struct.unpack_from("IIIHHII", self.ring, base)
            if not status & 1:
                return
            _family, _protocol, index, _hatype, kind = struct.unpack_from("HHiHB", self.ring, base + 32)
            # While any program asks for timestamps (SO_TIMESTAMPNS), what comes in is stamped when it is queued, before what is
            # sent meanwhile. The ring has the order in which frames passed.
            self.latest = max(self.latest, seconds * 1_000_000_000 + nanos)
            frames.append(
                {
                    "time": self.latest,
                    "ns": self.name,
                    "dev": self.names.get(index, str(index)),
                    "direction": "tx" if kind == 4 else "rx",
                    "bytes": self.ring[base + mac : base + mac + kept].hex(),
                }
            )
            struct.pack_into("I", self.ring, base, 0)
            self.at = (self.at + 1) % self.count


class Program:
    """A listener: sends back what it gets. `replies` answers given datagrams with given bytes instead."""

    def __init__(self, spec, netns):
        self.tcp = spec["protocol"] == "tcp"
        self.replies = spec.get("replies")
        enter(netns)
        kind = socket.SOCK_STREAM if self.tcp else socket.SOCK_DGRAM
        self.socket = socket.socket(socket.AF_INET6 if is6(spec["address"]) else socket.AF_INET, kind)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if is6(spec["address"]):
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if spec.get("transparent"):
            self.socket.setsockopt(*((41, 75) if is6(spec["address"]) else (0, 19)), 1)  # IP_TRANSPARENT
        if spec.get("reusePort"):
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if spec.get("keepAlive"):
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self.socket.bind((spec["address"], spec["port"]))
        for one in spec.get("groups", []):
            join(self.socket, one["group"], one["device"])
        if self.tcp:
            self.socket.listen(spec.get("backlog", 64))
        else:
            self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.stuck = "backlog" in spec
        leave()
        self.socket.setblocking(False)
        self.clients = []

    def sockets(self):
        return [] if self.stuck else [self.socket, *self.clients]

    def arrival(self):
        """When the datagram that waits came, in nanoseconds: one for everybody is answered in the order in which programs got it."""
        if self.tcp:
            return 0
        try:
            _data, control, _flags, _peer = self.socket.recvmsg(1, 64, socket.MSG_PEEK)
        except OSError:
            return 0
        for level, kind, data in control:
            if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
                seconds, nanos = struct.unpack("qq", data)
                return seconds * 1_000_000_000 + nanos
        return 0

    def serve(self, ready):
        if self.stuck:
            return
        if ready is self.socket and self.tcp:
            try:
                client, _ = self.socket.accept()
            except BlockingIOError:
                return
            client.setblocking(False)
            self.clients.append(client)
        elif self.tcp:
            self.echo(ready)
        else:
            self.answer()

    def echo(self, client):
        try:
            data = client.recv(65536)
            if data:
                client.send(data)
                return
        except OSError:
            pass
        client.close()
        self.clients.remove(client)

    def answer(self):
        try:
            data, peer = self.socket.recvfrom(65536)
        except OSError:
            return
        reply = data
        if self.replies is not None:
            found = self.replies.get(data.hex())
            if found is None:
                return
            reply = bytes.fromhex(found)
        try:
            self.socket.sendto(reply, peer)
        except OSError:
            pass


def name_of(error):
    return errno.errorcode.get(error, str(error))


def is_about(one, probe):
    """Whether an error is about an echo request of this probe, as ping asks: a raw socket hears of everybody's."""
    try:
        quoted = one.recv(65536, socket.MSG_ERRQUEUE)
    except OSError:
        return True  # No message brought it.
    return len(quoted) < 6 or struct.unpack("!H", quoted[4:6])[0] == probe["sourcePort"]


class Judge:
    def __init__(self, spec):
        self.spec = spec
        self.frames = []
        for netns in spec["namespaces"].values():
            if "deviceKnobs" in spec:
                prepare(netns, spec["deviceKnobs"])
        self.taps = [Tap(name, netns) for name, netns in spec["namespaces"].items()]
        self.programs = [Program(one, spec["namespaces"][one["ns"]]) for one in spec["listeners"]]

    def turn(self, extra, limit):
        """Serves every program and tap until one of `extra` is ready or the time is over."""
        end = time.monotonic() + limit
        while True:
            owners = {}
            for tap in self.taps:
                owners[tap.socket] = tap
            for program in self.programs:
                for one in program.sockets():
                    owners[one] = program
            left = end - time.monotonic()
            if left <= 0:
                return None
            wants = [one for one, _ in extra]
            writable = [one for one, mode in extra if mode == "w"]
            readable, written, failed = select.select([*owners, *[one for one, mode in extra if mode == "r"]], writable, wants, left)
            programs = [one for one in readable if isinstance(owners.get(one), Program)]
            if len(programs) > 1:
                readable = [one for one in readable if one not in programs] + sorted(programs, key=lambda one: owners[one].arrival())
            for one in readable:
                owner = owners.get(one)
                if isinstance(owner, Tap):
                    owner.read(self.frames)
                elif owner is not None:
                    owner.serve(one)
            for one in [*readable, *written, *failed]:
                if one in wants:
                    return one

    def show(self, command):
        """What a command prints while the programs still run."""
        argv = ["ip", "netns", "exec", self.spec["namespaces"][command["ns"]], *command["argv"]]
        return subprocess.run(argv, capture_output=True, text=True, check=False).stdout

    def put_frame(self, probe):
        """A frame as it is, past all tables of its sender."""
        enter(self.spec["namespaces"][probe["ns"]])
        try:
            one = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            one.bind((probe["device"], 0))
        finally:
            leave()
        try:
            one.send(bytes.fromhex(probe["frame"]))
        except OSError as error:
            if error.errno != errno.ENOBUFS:  # the device took the frame and lost it
                raise
        self.turn([], probe.get("wait", 0.06))
        one.close()
        self.turn([], probe.get("settle", 0.06))
        return "sent"

    def hold_group(self, probe):
        enter(self.spec["namespaces"][probe["ns"]])
        try:
            one = socket.socket(socket.AF_INET6 if is6(probe["address"]) else socket.AF_INET, socket.SOCK_DGRAM)
            join(one, probe["address"], probe["device"])
        except OSError as error:
            return "join: " + name_of(error.errno)
        finally:
            leave()
        self.turn([], probe.get("wait", 0.06))
        one.close()
        self.turn([], probe.get("settle", 0.06))
        return "joined"

    def probe(self, probe):
        if probe["protocol"] == "frame":
            return self.put_frame(probe)
        if probe["protocol"] == "join":
            return self.hold_group(probe)
        limit = probe["limit"]
        enter(self.spec["namespaces"][probe["ns"]])
        v6 = is6(probe["address"])
        family = socket.AF_INET6 if v6 else socket.AF_INET
        try:
            probe["end"] = end_of(probe, probe["port"])
            if probe["protocol"] == "tcp":
                one = socket.socket(family, socket.SOCK_STREAM)
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                # The connection is gone at once when the run ends, and leaves no retransmissions.
            elif probe["protocol"] == "udp":
                one = socket.socket(family, socket.SOCK_DGRAM)
            elif v6:
                one = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
                one.setsockopt(socket.IPPROTO_IPV6, 23, 2)  # IPV6_MTU_DISCOVER = DO
            else:
                one = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_ICMP)
                one.setsockopt(socket.IPPROTO_IP, 10, 2)  # IP_MTU_DISCOVER = DO: as ping sends
        finally:
            leave()
        one.setblocking(False)
        if probe.get("device") and not v6:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, probe["device"].encode())
        if probe["ttl"]:
            if v6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, probe["ttl"])
                if probe["protocol"] != "tcp":
                    one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, probe["ttl"])
            else:
                one.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, probe["ttl"])
                if probe["protocol"] != "tcp":
                    one.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, probe["ttl"])
        try:
            return getattr(self, "probe_" + probe["protocol"])(one, probe, limit)
        finally:
            one.close()
            self.turn([], probe.get("settle", 0.06))

    def probe_tcp(self, one, probe, limit):
        if probe["sourcePort"]:
            one.bind((any_of(probe["address"]), probe["sourcePort"]))
        if probe.get("keepAlive"):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        failed = one.connect_ex(probe["end"])
        if failed not in (0, errno.EINPROGRESS):
            return "connect: " + name_of(failed)
        if self.turn([(one, "w")], limit) is None:
            # Between namespaces an ICMPv6 error comes while connect() holds the socket: it is kept, and told by the next timeout or here.
            heard = one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) if is6(probe["address"]) else 0
            return "connect: " + (name_of(heard) if heard else "timeout")
        failed = one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if failed:
            return "connect: " + name_of(failed)
        data = probe["data"].encode()
        said = [self.say(one, line, limit) for line in [data, *[more.encode() for more in probe.get("lines", [])]]] if data else ["connected"]
        if probe.get("hold"):
            self.turn([], probe["hold"])
            failed = one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            said += ["hold: " + name_of(failed)] if failed else []
        return ", ".join(said)

    def say(self, one, data, limit):
        try:
            one.send(data)
        except OSError as error:
            return "send: " + name_of(error.errno)
        if self.turn([(one, "r")], limit) is None:
            return "recv: timeout"
        try:
            got = one.recv(65536)
        except OSError as error:
            return "recv: " + name_of(error.errno)
        return "echo" if got == data else "recv: " + got.hex()

    def probe_udp(self, one, probe, limit):
        one.bind((any_of(probe["address"]), probe["sourcePort"]))
        failed = one.connect_ex(probe["end"])
        if failed:
            return "connect: " + name_of(failed)
        data = bytes.fromhex(probe["dataHex"]) if probe.get("dataHex") else probe["data"].encode()
        try:
            one.send(data)
        except OSError as error:
            return "send: " + name_of(error.errno)
        if self.turn([(one, "r")], limit) is None:
            return "recv: timeout"
        try:
            got = one.recv(65536)
        except OSError as error:
            return "recv: " + name_of(error.errno)
        return "echo" if got == data else "answer"

    def probe_icmp6(self, one, probe, limit):
        one.setsockopt(socket.IPPROTO_IPV6, 25, 1)  # IPV6_RECVERR
        packet = struct.pack("!BBHHH", 128, 0, 0, probe["sourcePort"], 1) + probe["data"].encode()
        try:
            one.sendto(packet, probe["end"][:1] + (0,) + probe["end"][2:])
        except OSError as error:
            return "send: " + name_of(error.errno)
        end = time.monotonic() + limit
        while time.monotonic() < end:
            if self.turn([(one, "r")], end - time.monotonic()) is None:
                break
            try:
                got = one.recv(65536)
            except OSError as error:
                if not is_about(one, probe):
                    continue
                return "recv: " + name_of(error.errno)
            if got[0] == 129 and struct.unpack("!H", got[4:6])[0] == probe["sourcePort"]:
                return "reply"
        return "recv: timeout"

    def probe_icmp(self, one, probe, limit):
        if is6(probe["address"]):
            return self.probe_icmp6(one, probe, limit)
        one.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
        one.connect((probe["address"], 0)) if probe.get("connect") else None
        data = probe["data"].encode()
        head = struct.pack("!BBHHH", 8, 0, 0, probe["sourcePort"], 1)
        total = sum(struct.unpack("!%dH" % ((len(head + data) + 1) // 2), head + data + b"\0" * (len(data) % 2)))
        total = (total & 0xFFFF) + (total >> 16)
        total = (total & 0xFFFF) + (total >> 16)
        packet = head[:2] + struct.pack("!H", ~total & 0xFFFF) + head[4:] + data
        try:
            one.sendto(packet, (probe["address"], 0))
        except OSError as error:
            return "send: " + name_of(error.errno)
        end = time.monotonic() + limit
        while time.monotonic() < end:
            if self.turn([(one, "r")], end - time.monotonic()) is None:
                break
            try:
                got, _control, _flags, _peer = one.recvmsg(65536, 512)
            except OSError as error:
                if not is_about(one, probe):
                    continue
                return "recv: " + name_of(error.errno)
            at = (got[0] & 15) * 4
            if got[at] == 0 and struct.unpack("!H", got[at + 4 : at + 6])[0] == probe["sourcePort"]:
                return "reply"
        return "recv: timeout"


def main():
    spec = json.load(sys.stdin)
    judge = Judge(spec)
    judge.turn([], spec.get("wait", 0.05))
    judge.frames.clear() if spec.get("wait", 0) > 1 else None  # addresses and links that came up
    results = [judge.probe(probe) for probe in spec["probes"]]
    judge.turn([], 0.5)
    shown = [judge.show(one) for one in spec.get("show", [])]
    judge.frames.sort(key=lambda frame: frame["time"])
    json.dump({"results": results, "frames": judge.frames, "shown": shown}, sys.stdout)


if __name__ == "__main__":
    main()
