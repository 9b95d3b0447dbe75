import type { Place } from "../base/errors.js";
import type { LabCommand } from "../tools/command.js";
import type { Frame } from "../wire/frame.js";
import { type IpAddress, parseIpv6Prefix } from "../wire/ip.js";

/** A program that answers in a namespace: accepts and answers TCP, echoes UDP. */
export interface Listener {
  readonly ns: string;
  readonly protocol: "tcp" | "udp";
  readonly port: number;
  /** 0.0.0.0 listens on every IPv4 address, :: on every IPv6 address. */
  readonly address: IpAddress;
  /** Of a TCP program that never accepts: how many it asked listen() to queue. */
  readonly backlog?: number | undefined;
  /** SO_REUSEPORT: another such program may have the same port. */
  readonly reusePort?: boolean | undefined;
  /** SO_KEEPALIVE: what a TCP program accepts asks whether its peer is still there. */
  readonly keepAlive?: boolean | undefined;
  /** Multicast groups that a UDP program joins. */
  readonly groups?: readonly GroupOnDevice[] | undefined;
  /** IP_TRANSPARENT: `-j TPROXY` may give it what is for other hosts. */
  readonly transparent?: boolean | undefined;
  /** Where the lab file says so. */
  readonly place?: Place | undefined;
}

/** A multicast group on one device: `239.1.2.3%eth0`. */
export interface GroupOnDevice {
  readonly group: IpAddress;
  readonly device: string;
}

/**
 * One thing that a program in a namespace tries. `frame` puts a frame on a link as it is, past every table of its sender;
 * `join` is in the group `address` on `device` for a while.
 */
export interface Probe {
  readonly ns: string;
  readonly protocol: "tcp" | "udp" | "icmp" | "frame" | "join";
  readonly address: IpAddress;
  /** The device that a link-local address is behind: `fe80::1%eth0`. */
  readonly device?: string | undefined;
  /** 0 for ICMP. */
  readonly port: number;
  /** 0 lets the kernel choose; the id for ICMP. */
  readonly sourcePort: number;
  /** What is sent once connected (TCP), in the datagram (UDP), after the header (ICMP). */
  readonly data: string;
  /** What is said after that over TCP, one line after the other, each when an answer has come. */
  readonly lines?: readonly string[] | undefined;
  readonly ttl: number | undefined;
  /** Over TCP: SO_KEEPALIVE. */
  readonly keepAlive?: boolean | undefined;
  /** Over TCP: for how many seconds the connection stays open behind the last answer. */
  readonly hold?: number | undefined;
  /** Of `frame`, which leaves by `device`. */
  readonly frame?: Frame | undefined;
  /** In seconds: how long an answer is waited for, a group is held, or nothing else happens after a frame. */
  readonly wait?: number | undefined;
}

/** A probe that is a request to somebody. */
export interface RequestProbe extends Probe {
  readonly protocol: "tcp" | "udp" | "icmp";
}

export function isRequest(probe: Probe): probe is RequestProbe {
  return probe.protocol !== "frame" && probe.protocol !== "join";
}

/** A network of namespaces as commands that a real Linux understands too, with programs in it. */
export interface Lab {
  readonly name: string;
  readonly about: string;
  readonly namespaces: readonly string[];
  /** In order. Those without a namespace make links. */
  readonly commands: readonly LabCommand[];
  readonly listeners: readonly Listener[];
  readonly probes: readonly Probe[];
  /** Commands whose output is part of what is seen, once the probes are done. */
  readonly show?: readonly LabCommand[] | undefined;
}

/** Whether a lab has IPv6 in it: its commands say so, or its programs. In all others IPv6 is off. */
export function usesIpv6({ commands, listeners, probes }: Lab): boolean {
  return (
    [...listeners, ...probes].some(({ address }) => typeof address === "bigint") ||
    probes.some(({ frame }) => frame?.network?.kind === "ipv6") ||
    commands.some(({ argv }) => argv[0] === "ip" && argv.some(isAboutIpv6))
  );
}

function isAboutIpv6(word: string): boolean {
  return word === "-6" || (word.includes(":") && parseIpv6Prefix(word) !== undefined);
}
