"""Asks the real kernel what a program is told when an ICMP error about its packet comes back. Reads one JSON document
from standard input: the namespaces of the program and of its peer, and the cases. The peer is this script: it answers
what the program sent with the error of the case, quoting it. Writes what each case's call returned. Run as root; used by
test/kernel/endpoint-errors.test.ts.
"""

import ctypes
import errno
import json
import os
import select
import socket
import struct
import sys

CLONE_NEWNET = 0x40000000
PATIENCE = 0.01
libc = ctypes.CDLL(None, use_errno=True)
PEER = {4: "10.0.0.2", 6: "2001:db8::2"}


def enter(netns):
    handle = os.open("/run/netns/" + netns, os.O_RDONLY)
    try:
        if libc.setns(handle, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")
    finally:
        os.close(handle)


def checksum(data, start=0):
    total = start + sum(struct.unpack("!%dH" % ((len(data) + 1) // 2), data + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def icmp_error(packet, case):
    """The error about an IP packet, as a packet back to its sender."""
    head = struct.pack("!BBHI", case["type"], case["code"], 0, case["rest"])
    if case["family"] == 4:
        message = head + packet[:548]
        message = message[:2] + struct.pack("!H", checksum(message)) + message[4:]
        header = struct.pack("!BBHHHBBH4s4s", 0x45, 0xC0, 20 + len(message), 1, 0, 64, 1, 0, packet[16:20], packet[12:16])
        return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + message
    message = head + packet[:1000]
    pseudo = packet[24:40] + packet[8:24] + struct.pack("!II", len(message), 58)
    message = message[:2] + struct.pack("!H", checksum(pseudo + message)) + message[4:]
    return struct.pack("!IHBB", 0x60000000, len(message), 58, 64) + packet[24:40] + packet[8:24] + message


def syn_ack(packet, family):
    """The answer to a SYN."""
    at = 20 if family == 4 else 40
    ours, theirs, sequence = struct.unpack("!HHI", packet[at : at + 8])
    segment = struct.pack("!HHIIBBHHH", theirs, ours, 1000, sequence + 1 & 0xFFFFFFFF, 0x50, 0x12, 65535, 0, 0)
    source, target = (packet[16:20], packet[12:16]) if family == 4 else (packet[24:40], packet[8:24])
    pseudo = source + target + (struct.pack("!BBH", 0, 6, 20) if family == 4 else struct.pack("!II", 20, 6))
    segment = segment[:16] + struct.pack("!H", checksum(pseudo + segment)) + segment[18:]
    if family == 6:
        return struct.pack("!IHBB", 0x60000000, 20, 6, 64) + source + target + segment
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40, 0, 0x4000, 64, 6, 0, source, target)
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + segment


class Peer:
    def __init__(self, netns):
        enter(netns)
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.socket.bind(("eth0", 0))

    def next(self, family, port):
        """The next IP packet of the program to this port, with its Ethernet header."""
        while select.select([self.socket], [], [], 1)[0]:
            frame, origin = self.socket.recvfrom(65536)
            at = 14 + (20 if family == 4 else 40)
            if origin[2] != 4 and frame[12:14] == (b"\x08\0" if family == 4 else b"\x86\xdd") and len(frame) >= at + 4:
                if struct.unpack("!H", frame[at + 2 : at + 4])[0] == port:
                    return frame
        raise RuntimeError("the program sent nothing")

    def answer(self, frame, packet):
        self.socket.send(frame[6:12] + frame[0:6] + frame[12:14] + packet)


def name_of(error):
    """By the name that the kernel uses where one number has two."""
    return "EOPNOTSUPP" if error == errno.EOPNOTSUPP else errno.errorcode[error]


def told(one, mode):
    """What the program hears within a moment: an errno by its name, or that it still waits."""
    ready = select.select([one] if mode == "r" else [], [one] if mode == "w" else [], [], PATIENCE)
    if not (ready[0] or ready[1]):
        return "waits"
    failed = one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    return name_of(failed) if failed else "ok"


def run(peer, case, port):
    family = socket.AF_INET if case["family"] == 4 else socket.AF_INET6
    stream = case["call"] in ("connect", "established")
    one = socket.socket(family, socket.SOCK_STREAM if stream else socket.SOCK_DGRAM)
    one.setblocking(False)
    end = (PEER[case["family"]], port)
    try:
        if case["call"] == "connect":
            one.connect_ex(end)
        elif case["call"] == "established":
            one.connect_ex(end)
            frame = peer.next(case["family"], port)
            peer.answer(frame, syn_ack(frame[14:], case["family"]))
            if told(one, "w") != "ok":
                raise RuntimeError("no connection")
            peer.next(case["family"], port)
            one.send(b"hello")
        elif case["call"] == "sendto":
            one.sendto(b"hello", end)
        else:
            one.connect(end)
            one.send(b"hello")
        frame = peer.next(case["family"], port)
        peer.answer(frame, icmp_error(frame[14:], case))
        if case["call"] == "connect":
            return told(one, "w")
        if case["call"] != "send":
            return told(one, "r")
        select.select([one], [], [], PATIENCE)
        try:
            one.send(b"again")
            return "ok"
        except OSError as error:
            return name_of(error.errno)
    finally:
        if stream:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        one.close()


def main():
    spec = json.load(sys.stdin)
    peer = Peer(spec["peer"])
    enter(spec["program"])
    json.dump([run(peer, case, 1000 + index) for index, case in enumerate(spec["cases"])], sys.stdout)


if __name__ == "__main__":
    main()
