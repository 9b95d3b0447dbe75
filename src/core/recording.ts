import type { Place } from "../base/errors.js";
import type { TraceEvent } from "./trace.js";

/** Who wants what of whom, as it was asked and as it was understood. */
export interface RequestInfo {
  /** As typed. */
  readonly source: string;
  readonly destination: string;
  readonly protocol: "tcp" | "udp" | "icmp";
  /** The namespace the request starts in: a pod, a node, the world outside. */
  readonly sourceNs: string;
  readonly sourceAddress: string;
  /** 0 for ICMP. */
  readonly sourcePort: number;
  readonly address: string | undefined;
  /** 0 for ICMP. */
  readonly port: number;
}

/** What a name was found to be, by which names in turn. */
export interface NameLookup {
  readonly asked: string;
  readonly address: string | undefined;
  /** The full name that was answered. */
  readonly name: string | undefined;
  /** Names tried, in order; the last one ended the search. */
  readonly tried: readonly string[];
  /** NXDOMAIN, SERVFAIL, timeout, …; undefined when an address was found. */
  readonly error: string | undefined;
  /** Addresses that a program would as well have taken, had DNS shuffled otherwise, its own among them; sorted. */
  readonly choices?: readonly string[] | undefined;
  /** Set when no certain answer was possible: what is missing. */
  readonly unknown: string | undefined;
  /** `Service shop/api`, when an object has the address. */
  readonly means: string | undefined;
}

/** An object that a rule was made for, and where what made it stands. */
export interface MadeFor {
  /** `Service`, `Pod`, … */
  readonly kind: string;
  /** `shop/api`; without a slash for kinds without namespaces. */
  readonly name: string;
  /** The field that asked for the rule: `["endpoints", 0]`; undefined for the object itself. */
  readonly path?: readonly (string | number)[] | undefined;
  /** Where that stands; undefined for what stands in no text. */
  readonly place: Place | undefined;
}

/** Why one line of a generated ruleset is there. */
export interface MadeLine {
  /** Who writes it on a real node: `kube-proxy`, `kubelet`, `kube-router`, `flannel`, `CNI plugin portmap`. */
  readonly by: string;
  /** Empty for what is there whatever the objects. */
  readonly objects: readonly MadeFor[];
  /** One clause in words: `cluster IP of shop/api:http`. */
  readonly why: string;
}

/** Who wrote a ruleset: `kube-proxy`, `flannel`, `CNI`, or undefined for a person's own file. */
export interface RuleMaker {
  readonly name: string;
  /** The object a line was made for, by line number: `Service shop/api:http`. */
  readonly origins: ReadonlyMap<number, string>;
  /** The same with places and reasons; undefined for a number that the text does not have. */
  readonly line?: ((number: number) => MadeLine | undefined) | undefined;
}

/** One rule of a chain as it stood after the run. */
export interface ChainRule {
  readonly number: number;
  readonly text: string;
  readonly place: Place | undefined;
  readonly packets: number;
}

/** Something to know about a place in the user's text. */
export interface PlacedNote {
  readonly text: string;
  readonly place: Place;
}

/** A run of one request, whole: everything that outputs are made of. */
export interface Recording {
  /** As given with -w. */
  readonly world: string;
  readonly seed: number;
  readonly proxy: string | undefined;
  readonly request: RequestInfo;
  readonly lookup: NameLookup | undefined;
  /** What happened while the name was looked up. */
  readonly lookupEvents: readonly TraceEvent[];
  /** What happened from the request's first packet on. */
  readonly events: readonly TraceEvent[];
  /** What addresses are called: `10.244.2.5` is `shop/api-1`. */
  readonly names: ReadonlyMap<string, string>;
  /** Who wrote the rules of a file. */
  readonly makers: ReadonlyMap<string, RuleMaker>;
  /** The rules of a chain as they stood at the end; `engine` as rule events have it, iptables when left out. */
  chain(ns: string, table: string, chain: string, engine?: string): readonly ChainRule[];
  /** Things to know that no event tells: assumptions that this answer rests on. */
  readonly notes: readonly string[];
  /** Why no certain answer is possible, found before or beside the packets; empty when nothing is missing. */
  readonly unknown: readonly string[];
  /** The run was cut short: by --one-way, or by the end of the world that was given. */
  readonly oneWay: boolean;
  /** The packet that this is about, where the first one of the sender is not meant. */
  readonly followed?: number | undefined;
  /** What nodes learned in the same world before the first event, where there was such a time. */
  readonly earlier?: (() => readonly TraceEvent[]) | undefined;
  /** Where a route comes from that nobody recorded, by `NODE NETWORK dev DEVICE`: `assumed from --addr`. */
  readonly assumedRoutes?: ReadonlyMap<string, string> | undefined;
  /** What is not modelled in the world's rules and no packet came to. */
  readonly unreached?: readonly PlacedNote[] | undefined;
}
