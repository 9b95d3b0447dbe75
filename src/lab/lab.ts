import type { Place } from "../base/errors.js";
import type { LabCommand } from "../tools/command.js";
import { type IpAddress, parseIpv6Prefix } from "../wire/ip.js";

/** A program that answers in a namespace: accepts and answers TCP, echoes UDP. */
export interface Listener {
  readonly ns: string;
  readonly protocol: "tcp" | "udp";
  readonly port: number;
  /** 0.0.0.0 listens on every IPv4 address, :: on every IPv6 address. */
  readonly address: IpAddress;
  /** Where the lab file says so. */
  readonly place?: Place | undefined;
}

/** One thing that a program in a namespace tries. */
export interface Probe {
  readonly ns: string;
  readonly protocol: "tcp" | "udp" | "icmp";
  readonly address: IpAddress;
  /** The device that a link-local address is behind: `fe80::1%eth0`. */
  readonly device?: string | undefined;
  /** 0 for ICMP. */
  readonly port: number;
  /** 0 lets the kernel choose; the id for ICMP. */
  readonly sourcePort: number;
  /** What is sent once connected (TCP), in the datagram (UDP), after the header (ICMP). */
  readonly data: string;
  readonly ttl: number | undefined;
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
}

/** Whether a lab has IPv6 in it: its commands say so, or its programs. In all others IPv6 is off. */
export function usesIpv6({ commands, listeners, probes }: Lab): boolean {
  return (
    [...listeners, ...probes].some(({ address }) => typeof address === "bigint") ||
    commands.some(({ argv }) => argv[0] === "ip" && argv.some(isAboutIpv6))
  );
}

function isAboutIpv6(word: string): boolean {
  return word === "-6" || (word.includes(":") && parseIpv6Prefix(word) !== undefined);
}
