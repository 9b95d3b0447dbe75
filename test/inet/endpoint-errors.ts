import type { NetDevice } from "../../src/core/device.js";
import { devQueueXmit } from "../../src/core/device.js";
import type { Errno } from "../../src/core/errno.js";
import { newSkb, type Simulation } from "../../src/core/simulation.js";
import { familyOf } from "../../src/inet/families.js";
import { connectTcp } from "../../src/inet/tcp-socket.js";
import { UdpSocket } from "../../src/inet/udp-socket.js";
import { later, milliseconds } from "../../src/sim/time.js";
import { runTool } from "../../src/tools/index.js";
import { createLinux } from "../../src/tools/stack.js";
import { ETH_P_IP, ETH_P_IPV6 } from "../../src/wire/ethernet.js";
import { encodeIpPacket, type Frame, NO_BYTES } from "../../src/wire/frame.js";
import { type IpAddress, parseIpv4, parseIpv6 } from "../../src/wire/ip.js";
import { IPPROTO_ICMP } from "../../src/wire/ipv4.js";
import { IPPROTO_ICMPV6 } from "../../src/wire/ipv6.js";
import { TCP_ACK, TCP_SYN } from "../../src/wire/tcp.js";

/** What a program does before the error comes, and what it calls then. */
const CALLS = ["connect", "established", "recv", "send", "sendto"] as const;

/** One ICMP error, about what one call sent. */
export interface ErrorCase {
  readonly family: 4 | 6;
  readonly type: number;
  readonly code: number;
  readonly rest: number;
  readonly call: (typeof CALLS)[number];
}

/** Types with the codes that are tried: all that have a name, and the one after them. */
const ERRORS: readonly (readonly [family: 4 | 6, type: number, codes: number, rest: number])[] = [
  [4, 3, 17, 1400],
  [4, 4, 1, 0],
  [4, 11, 3, 0],
  [4, 12, 3, 0],
  [6, 1, 9, 0],
  [6, 2, 2, 1400],
  [6, 3, 3, 0],
  [6, 4, 5, 0],
  [6, 100, 1, 0],
  [6, 127, 1, 0],
];

export const errorCases: readonly ErrorCase[] = ERRORS.flatMap(([family, type, codes, rest]) =>
  Array.from({ length: codes }, (_, code) =>
    CALLS.map((call): ErrorCase => ({ family, type, code, rest, call })),
  ).flat(),
);

/** The network both sides build: a program's host, and a peer that has no address of its own. */
export const errorNetwork: readonly (readonly [ns: "program" | "peer", command: string])[] = [
  ["program", "ip link set eth0 up"],
  ["peer", "ip link set eth0 up"],
  ["program", "ip addr add 10.0.0.1/24 dev eth0"],
  ["program", "ip neigh add 10.0.0.2 lladdr 02:00:00:00:00:02 dev eth0"],
  ["program", "ip -6 addr add 2001:db8::1/64 dev eth0 nodad"],
  ["program", "ip -6 neigh add 2001:db8::2 lladdr 02:00:00:00:00:02 dev eth0"],
];

/** Plays the cases one after the other and gives what the program is told of each: an errno, `ok`, or that it still waits. */
export function playErrorCases(cases: readonly ErrorCase[]): readonly string[] {
  const network = buildNetwork();
  return cases.map((errorCase, index) => play(network, errorCase, 1000 + index));
}

function play({ sim, device }: Network, errorCase: ErrorCase, port: number): string {
  const sent: Frame[] = [];
  sim.trace = (event) => {
    if (event.kind === "device" && event.direction === "rx" && event.ns === "peer")
      if (isTo(event.frame, port)) sent.push(event.frame);
  };
  const settle = (): void => sim.runUntilIdle(later(sim.queue.now, milliseconds(30)));
  const call = START[errorCase.call](sim, addressOf(errorCase.family), port);
  settle();
  if (errorCase.call === "established") {
    put(sim, device, synAck(last(sent)));
    settle();
    call.goOn?.();
    settle();
  }
  put(sim, device, errorAbout(last(sent), errorCase));
  settle();
  return call.told();
}

interface Call {
  /** What is done once the connection stands. */
  readonly goOn?: (() => void) | undefined;
  readonly told: () => string;
}

const text = new TextEncoder().encode("hello");

const START: Readonly<
  Record<ErrorCase["call"], (sim: Simulation, to: IpAddress, port: number) => Call>
> = {
  connect(sim, to, port) {
    const connection = connectTcp(sim.namespaces.get("program") ?? fail(), {
      address: to,
      port,
    });
    return { told: () => connection.error ?? "waits" };
  },
  established(sim, to, port) {
    const connection = connectTcp(sim.namespaces.get("program") ?? fail(), {
      address: to,
      port,
    });
    return {
      goOn: () => void connection.send(text),
      told: () => connection.error ?? "waits",
    };
  },
  recv: (sim, to, port) => {
    const { socket, errors } = connected(sim, to, port);
    socket.send(text);
    return { told: () => errors[0] ?? "waits" };
  },
  send(sim, to, port) {
    const { socket } = connected(sim, to, port, false);
    socket.send(text);
    return { told: () => socket.send(text) ?? "ok" };
  },
  sendto(sim, to, port) {
    const errors: Errno[] = [];
    const socket = new UdpSocket(sim.namespaces.get("program") ?? fail(), {}, familyOf(to));
    socket.onError = (errno) => void errors.push(errno);
    socket.sendTo(text, to, port);
    return { told: () => errors[0] ?? "waits" };
  },
};

function connected(
  sim: Simulation,
  to: IpAddress,
  port: number,
  listens = true,
): { readonly socket: UdpSocket; readonly errors: readonly Errno[] } {
  const errors: Errno[] = [];
  const socket = new UdpSocket(sim.namespaces.get("program") ?? fail(), {}, familyOf(to));
  if (listens) socket.onError = (errno) => void errors.push(errno);
  socket.connect(to, port);
  return { socket, errors };
}

interface Network {
  readonly sim: Simulation;
  /** The peer's. */
  readonly device: NetDevice;
}

function buildNetwork(): Network {
  const sim = createLinux({ seed: 1 });
  for (const ns of ["program", "peer"]) sim.createNamespace(ns);
  const run = (ns: string | undefined, command: string): void => {
    const { code, stderr } = runTool(sim, { ns, argv: command.split(" ") });
    if (code !== 0) throw new Error(`${command}: ${stderr}`);
  };
  run(
    undefined,
    "ip link add eth0 netns program type veth peer name eth0 address 02:00:00:00:00:02 netns peer",
  );
  run("program", "sysctl -qw net.ipv6.conf.all.disable_ipv6=0");
  for (const [ns, command] of errorNetwork) run(ns, command);
  sim.runUntilIdle(later(sim.queue.now, milliseconds(100)));
  return { sim, device: sim.namespaces.get("peer")?.device("eth0") ?? fail() };
}

function addressOf(family: 4 | 6): IpAddress {
  return (family === 4 ? parseIpv4("10.0.0.2") : parseIpv6("2001:db8::2")) ?? fail();
}

function isTo({ transport }: Frame, port: number): boolean {
  return (
    (transport?.kind === "tcp" || transport?.kind === "udp") && transport.destinationPort === port
  );
}

function last(frames: readonly Frame[]): Frame {
  return frames.at(-1) ?? fail();
}

function fail(): never {
  throw new Error("the case could not be played");
}

function put(sim: Simulation, device: NetDevice, frame: Frame): void {
  const skb = newSkb(sim.namespaces.get("peer") ?? fail(), frame, "packet socket");
  devQueueXmit(skb, device);
}

/** A frame back to where `frame` came from. */
function backFrom(
  { link, network }: Frame,
  protocol: number,
  rest: Pick<Frame, "transport" | "payload">,
): Frame {
  const common = { source: link.destination, destination: link.source };
  if (network?.kind === "ipv6")
    return {
      link: { ...common, etherType: ETH_P_IPV6 },
      network: {
        ...network,
        protocol,
        source: network.destination,
        destination: network.source,
        hopLimit: 64,
      },
      ...rest,
    };
  if (network?.kind !== "ipv4") return fail();
  return {
    link: { ...common, etherType: ETH_P_IP },
    network: {
      ...network,
      protocol,
      source: network.destination,
      destination: network.source,
      dontFragment: false,
    },
    ...rest,
  };
}

function errorAbout(frame: Frame, { family, type, code, rest }: ErrorCase): Frame {
  const payload = encodeIpPacket(frame, family === 4 ? 548 : 1000);
  return family === 4
    ? backFrom(frame, IPPROTO_ICMP, { transport: { kind: "icmp", type, code, rest }, payload })
    : backFrom(frame, IPPROTO_ICMPV6, { transport: { kind: "icmpv6", type, code, rest }, payload });
}

function synAck(frame: Frame): Frame {
  const { transport, network } = frame;
  if (transport?.kind !== "tcp" || network === undefined || network.kind === "arp") return fail();
  const header = {
    ...transport,
    sourcePort: transport.destinationPort,
    destinationPort: transport.sourcePort,
    sequence: 1000,
    acknowledgment: (transport.sequence + 1) >>> 0,
    flags: TCP_SYN | TCP_ACK,
    options: NO_BYTES,
  };
  return backFrom(frame, network.protocol, { transport: header, payload: NO_BYTES });
}
