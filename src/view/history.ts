import { formatIpv4, formatMac } from "../wire/ip.js";
import type { Recording } from "../core/recording.js";
import type { ConntrackSnapshot, NeighbourEvent, TraceEvent } from "../core/trace.js";
import { IPS_ASSURED, IPS_CONFIRMED, IPS_SEEN_REPLY, type Tuple } from "../core/conntrack.js";
import { IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP } from "../wire/ipv4.js";

export type StateKind = "conntrack" | "fdb" | "neighbour" | "counter";

/** One thing that a node remembers, at one moment. */
export interface StateEntry {
  readonly kind: StateKind;
  readonly ns: string;
  /** Tells this entry from its neighbours: a connection's id, an address. */
  readonly key: string;
  /** As `conntrack -L`, `bridge fdb` or `ip neigh` prints it, in one or two lines. */
  readonly lines: readonly string[];
}

interface Version {
  readonly at: number;
  /** Undefined when the entry went away. */
  readonly entry: StateEntry | undefined;
}

/**
 * What nodes remembered after each event of a run, the name lookup before it included. Kept as changes: any moment is
 * looked up, none is run again. Moments count events; -1 is before the first.
 */
export class History {
  readonly #versions = new Map<string, Version[]>();
  readonly #byNode = new Map<string, string[]>();
  readonly #position = new Map<TraceEvent, number>();
  readonly length: number;

  constructor(recording: Recording) {
    const events = [...recording.lookupEvents, ...recording.events];
    this.length = events.length;
    for (const event of recording.earlier?.() ?? []) this.#remember(event, -1);
    events.forEach((event, index) => {
      this.#position.set(event, index);
      this.#remember(event, index);
    });
  }

  #remember(event: TraceEvent, at: number): void {
    const change = changeOf(event);
    if (change !== undefined) this.#add(change.id, change.ns, { at, entry: change.entry });
  }

  /** The moment right after this event. */
  momentOf(event: TraceEvent): number | undefined {
    return this.#position.get(event);
  }

  /** What `ns` remembered at a moment, in the order in which it learned it. */
  at(ns: string, moment: number): readonly StateEntry[] {
    return (this.#byNode.get(ns) ?? []).flatMap((id) => this.#lookUp(id, moment) ?? []);
  }

  /** What became different in `ns` after one moment and up to another. */
  changes(ns: string, after: number, upTo: number): readonly StateEntry[] {
    const was = new Map(this.at(ns, after).map((entry) => [`${entry.kind} ${entry.key}`, entry]));
    return this.at(ns, upTo).filter(
      (entry) => was.get(`${entry.kind} ${entry.key}`)?.lines.join("\n") !== entry.lines.join("\n"),
    );
  }

  #add(id: string, ns: string, version: Version): void {
    const known = this.#versions.get(id);
    if (known !== undefined) {
      // Of what was before the first moment only the last is looked for.
      if (known.at(-1)?.at === version.at) known.pop();
      known.push(version);
      return;
    }
    this.#versions.set(id, [version]);
    const ids = this.#byNode.get(ns);
    if (ids === undefined) this.#byNode.set(ns, [id]);
    else ids.push(id);
  }

  #lookUp(id: string, moment: number): StateEntry | undefined {
    const versions = this.#versions.get(id) ?? [];
    let low = 0;
    let high = versions.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((versions[middle]?.at ?? 0) <= moment) low = middle + 1;
      else high = middle;
    }
    return versions[low - 1]?.entry;
  }
}

interface StateChange {
  readonly id: string;
  readonly ns: string;
  readonly entry: StateEntry | undefined;
}

/** Which memory of which node an event changes; undefined for one that changes none. */
export function changedState(event: TraceEvent): string | undefined {
  return changeOf(event)?.id;
}

function changeOf(event: TraceEvent): StateChange | undefined {
  switch (event.kind) {
    case "conntrack": {
      if (event.entry === undefined || event.action === "told") return undefined;
      const gone = event.action === "destroyed";
      const key = String(event.entry.id);
      const entry: StateEntry = {
        kind: "conntrack",
        ns: event.ns,
        key,
        lines: conntrackLines(event.entry),
      };
      return { id: `${event.ns} ct ${key}`, ns: event.ns, entry: gone ? undefined : entry };
    }
    case "bridge": {
      if (event.action !== "learn" || event.port === undefined) return undefined;
      const mac = formatMac(event.frame.link.source);
      const entry: StateEntry = {
        kind: "fdb",
        ns: event.ns,
        key: `${event.bridge} ${mac}`,
        lines: [`${mac} dev ${event.port} master ${event.bridge}`],
      };
      return { id: `${event.ns} fdb ${event.bridge} ${mac}`, ns: event.ns, entry };
    }
    case "neighbour":
      return neighbourChange(event);
    default:
      return undefined;
  }
}

function neighbourChange(event: NeighbourEvent): StateChange {
  const { ns, address, mac, to } = event;
  const dev = event.dev === undefined ? "" : ` dev ${event.dev}`;
  const lladdr = mac === undefined ? "" : ` lladdr ${mac}`;
  const entry: StateEntry = {
    kind: "neighbour",
    ns,
    key: address,
    lines: [`${address}${dev}${lladdr} ${to}`],
  };
  return { id: `${ns} neigh ${address}`, ns, entry: to === "NONE" ? undefined : entry };
}

const PROTOCOLS: ReadonlyMap<number, string> = new Map([
  [IPPROTO_ICMP, "icmp"],
  [IPPROTO_TCP, "tcp"],
  [IPPROTO_UDP, "udp"],
]);

function conntrackLines({
  original,
  reply,
  status,
  state,
  mark,
}: ConntrackSnapshot): readonly string[] {
  const protocol = PROTOCOLS.get(original.protocol) ?? String(original.protocol);
  const unreplied = (status & IPS_SEEN_REPLY) === 0 ? "[UNREPLIED] " : "";
  const assured = (status & IPS_ASSURED) === 0 ? "" : " [ASSURED]";
  const confirmed = (status & IPS_CONFIRMED) === 0 ? ", not confirmed until postrouting" : "";
  return [
    `${protocol} ${state === undefined || state === "NONE" ? "" : `${state} `}${tupleText(original)}`,
    `  ${unreplied}reply ${tupleText(reply)}${assured} mark 0x${mark.toString(16)}${confirmed}`,
  ];
}

function tupleText({
  source,
  destination,
  protocol,
  sourcePort,
  destinationPort,
  icmpType,
}: Tuple): string {
  if (typeof source !== "number" || typeof destination !== "number") return "";
  if (protocol === IPPROTO_ICMP)
    return `${formatIpv4(source)} > ${formatIpv4(destination)} type ${icmpType} id ${sourcePort}`;
  return `${formatIpv4(source)}:${sourcePort} > ${formatIpv4(destination)}:${destinationPort}`;
}
