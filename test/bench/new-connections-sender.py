"""Sends TCP SYNs from ever new ports to kube-proxy's Services and counts what comes out at the other end.

argv: namespace of the client, of the server, the node's MAC, number of Services. For each number read from standard
input it sends so many, waits until as many arrived, and prints the milliseconds of wall clock and of processor time.
Packets go out of AF_PACKET by sendmmsg(), so that the kernel's work on them is nearly all of the time.
"""
import ctypes, ctypes.util, os, random, socket, struct, sys, time

client, server, mac, services = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
libc = ctypes.CDLL(ctypes.util.find_library("c"), use_errno=True)


def enter(name):
    fd = os.open("/run/netns/" + name, os.O_RDONLY)
    if libc.setns(fd, 0x40000000) != 0:
        raise OSError(ctypes.get_errno(), "setns " + name)
    os.close(fd)


class iovec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("len", ctypes.c_size_t)]


class msghdr(ctypes.Structure):
    _fields_ = [("name", ctypes.c_void_p), ("namelen", ctypes.c_uint), ("iov", ctypes.POINTER(iovec)),
                ("iovlen", ctypes.c_size_t), ("control", ctypes.c_void_p), ("controllen", ctypes.c_size_t),
                ("flags", ctypes.c_int)]


class mmsghdr(ctypes.Structure):
    _fields_ = [("hdr", msghdr), ("len", ctypes.c_uint)]


enter(client)
out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
out.bind(("eth0", 0x0800))
link = bytes.fromhex(mac.replace(":", "")) + out.getsockname()[4] + b"\x08\x00"
enter(server)
opened = 0
chance = random.Random(1)


def checksum(data):
    total = sum(struct.unpack(">%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def syn():
    global opened
    opened += 1
    source = struct.pack(">I", 0x0A000102 + opened // 60000 % 200)
    target = struct.pack(">I", 0x0A600000 + chance.randrange(services))
    tcp = struct.pack(">HHIIBBHHH", 1024 + opened % 60000, 80, opened, 0, 0x50, 2, 64240, 0, 0)
    pseudo = source + target + struct.pack(">BBH", 0, 6, len(tcp))
    tcp = tcp[:16] + struct.pack(">H", checksum(pseudo + tcp)) + tcp[18:]
    ip = struct.pack(">BBHHHBBH", 0x45, 0, 40, 0, 0x4000, 64, 6, 0) + source + target
    return link + ip[:10] + struct.pack(">H", checksum(ip)) + ip[12:] + tcp


def received():
    with open("/proc/thread-self/net/dev") as lines:
        for line in lines:
            name, _, counters = line.partition(":")
            if name.strip() == "eth0":
                return int(counters.split()[1])
    raise RuntimeError("no eth0")


def prepare(count):
    packets = [syn() for _ in range(count)]
    buffers = [ctypes.create_string_buffer(packet, len(packet)) for packet in packets]
    vectors = (iovec * count)(*[iovec(ctypes.cast(b, ctypes.c_void_p), len(p)) for b, p in zip(buffers, packets)])
    messages = (mmsghdr * count)()
    for n in range(count):
        messages[n].hdr.iov = ctypes.pointer(vectors[n])
        messages[n].hdr.iovlen = 1
    return messages, buffers, vectors


for line in sys.stdin:
    count = int(line)
    messages, buffers, vectors = prepare(count)
    before = received()
    wall, cpu = time.perf_counter(), time.process_time()
    sent = 0
    while sent < count:
        step = libc.sendmmsg(out.fileno(), ctypes.byref(messages, sent * ctypes.sizeof(mmsghdr)), min(64, count - sent), 0)
        if step < 0:
            raise OSError(ctypes.get_errno(), "sendmmsg")
        sent += step
    limit = time.perf_counter() + 20
    while received() - before < count and time.perf_counter() < limit:
        pass
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(wall * 1000, cpu * 1000, received() - before, flush=True)
