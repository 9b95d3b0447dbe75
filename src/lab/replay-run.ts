import type { Recording, RequestInfo } from "../core/recording.js";
import type { ComparedFrames } from "../core/replay-recording.js";
import type { BornEvent, TraceEvent } from "../core/trace.js";
import type { Micros } from "../sim/time.js";
import type { CapturedPacket } from "../wire/capture.js";
import type { Frame } from "../wire/frame.js";
import { formatIp } from "../wire/ip.js";
import type { Point } from "./replay-points.js";
import type { Received } from "./replay-taps.js";
import type { ReplayWorld } from "./replay-world.js";

/** One captured packet on its way through the world, with everything that it led to. */
export class Run {
  readonly packet: CapturedPacket;
  readonly point: Point;
  readonly as: "received" | "answer" | "own";
  /** As captured. */
  readonly frame: Frame;
  readonly bytes: Uint8Array;
  readonly started: Micros;
  readonly received: Received;
  readonly events: TraceEvent[] = [];
  /** Packets of the world that it was and led to. */
  readonly packets: number[] = [];
  /** How many of them have not ended. */
  alive = 0;
  /** What is wrong with the beginning of its connection; undefined when it went through the world. */
  midway: string | undefined;
  /** Frames that came back to where the packet was captured. */
  readonly compared: ComparedFrames[] = [];
  /** The packet that is just being put in, until the device has told of it. */
  #entering: number | undefined;
  /** The packet itself and copies that carry it on. */
  readonly #carried = new Set<number>();

  constructor(
    packet: CapturedPacket,
    point: Point,
    as: Run["as"],
    frame: Frame,
    bytes: Uint8Array,
    started: Micros,
  ) {
    this.packet = packet;
    this.point = point;
    this.as = as;
    this.frame = frame;
    this.bytes = bytes;
    this.started = started;
    this.received = { by: packet.number, answerer: undefined };
  }

  born({ packet, cause, by }: BornEvent): void {
    this.alive++;
    this.packets.push(packet);
    const isCopy = cause !== undefined && this.#carried.has(cause);
    if (isCopy && /flood|clone|copy|fragment|reassembl/.test(by)) this.#carried.add(packet);
  }

  /** This packet of the world is the captured one, or a part of it. */
  carry(packet: number): void {
    this.#carried.add(packet);
  }

  /** The same, and it is about to come in by a device. */
  enter(packet: number): void {
    this.carry(packet);
    this.#entering = packet;
  }

  /** Whether a device tells of the packet that is just being put in. */
  entered(packet: number): boolean {
    if (this.#entering !== packet) return false;
    this.#entering = undefined;
    return true;
  }

  carries(packet: number): boolean {
    return this.#carried.has(packet);
  }
}

/** What a run comes down to, as every output takes it. */
export function recordingOf(
  run: Run,
  world: ReplayWorld,
  { world: name, seed }: { readonly world: string; readonly seed: number },
): Recording {
  const { events, packets } = run;
  return {
    ...world.common,
    world: name,
    seed,
    request: requestOf(run, world.common.names),
    lookup: undefined,
    lookupEvents: [],
    events,
    notes: [],
    unknown: [...(midwayReason(run) ?? []), ...world.unknown(events)],
    oneWay: true,
    followed: packets[0],
  };
}

function requestOf(
  { frame, point, packets, events }: Run,
  names: ReadonlyMap<string, string>,
): RequestInfo {
  const { network, transport } = frame;
  const ip = network?.kind === "ipv4" || network?.kind === "ipv6" ? network : undefined;
  const ports = transport !== undefined && "sourcePort" in transport ? transport : undefined;
  const born = events.find((event) => event.kind === "born" && event.packet === packets[0]);
  const kind = transport?.kind;
  const called = (address: string): string => names.get(address) ?? address;
  return {
    source: ip === undefined ? `${point.ns}:${point.dev}` : called(formatIp(ip.source)),
    destination:
      ip === undefined ? "" : withPort(called(formatIp(ip.destination)), ports?.destinationPort),
    protocol: kind === "tcp" || kind === "udp" ? kind : "icmp",
    sourceNs: born?.ns ?? point.ns,
    sourceAddress: ip === undefined ? "" : formatIp(ip.source),
    sourcePort: ports?.sourcePort ?? 0,
    address: ip === undefined ? undefined : formatIp(ip.destination),
    port: ports?.destinationPort ?? 0,
  };
}

function withPort(address: string, port: number | undefined): string {
  return port === undefined ? address : `${address}:${port}`;
}

/** A connection that nobody saw begin is new or invalid to a conntrack that knows nothing of it: the node's own knew it. */
function midwayReason({ midway, packets, events, packet }: Run): readonly string[] | undefined {
  if (midway === undefined) return undefined;
  const looked = events.some(
    (event) =>
      event.kind === "conntrack" && event.packet === packets[0] && event.action !== "untracked",
  );
  return looked
    ? [
        `packet ${packet.number} is of a connection that ${midway}: what conntrack knew of it was not recorded`,
      ]
    : undefined;
}
