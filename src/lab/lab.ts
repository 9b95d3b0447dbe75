import type { Place } from "../base/errors.js";
import type { LabCommand } from "../tools/command.js";
import type { Ipv4 } from "../wire/ip.js";

/** A program that answers in a namespace: accepts and answers TCP, echoes UDP. */
export interface Listener {
  readonly ns: string;
  readonly protocol: "tcp" | "udp";
  readonly port: number;
  /** 0.0.0.0 listens on every address. */
  readonly address: Ipv4;
  /** Where the lab file says so. */
  readonly place?: Place | undefined;
}

/** One thing that a program in a namespace tries. */
export interface Probe {
  readonly ns: string;
  readonly protocol: "tcp" | "udp" | "icmp";
  readonly address: Ipv4;
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
