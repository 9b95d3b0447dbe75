import type { Recording } from "../core/recording.js";
import type { BornEvent, PacketStamp, TraceEvent } from "../core/trace.js";
import { isLinkTalk } from "../wire/icmpv6.js";
import { destinationOf, sourceOf } from "./fields.js";

/** One way of a conversation: the events of the packet that made it there, copies that went elsewhere left out. */
export interface Leg {
  readonly packet: number;
  readonly events: readonly PacketEvent[];
}

export type PacketEvent = Extract<TraceEvent, PacketStamp>;

/** A request and its answer, picked out of everything that happened. */
export interface Conversation {
  readonly out: Leg | undefined;
  /** The answer: data, a handshake, a reset or an ICMP error. */
  readonly back: Leg | undefined;
}

/** Finds the request's packet and the packet that answers it. Mirrors nothing: it reads causes only. */
export function followRequest(recording: Recording): Conversation {
  const births = new Map<number, BornEvent>();
  for (const event of recording.events) if (event.kind === "born") births.set(event.packet, event);
  const first =
    recording.followed !== undefined
      ? births.get(recording.followed)
      : [...births.values()].find(
          (birth) =>
            birth.ns === recording.request.sourceNs && birth.cause === undefined && isIp(birth),
        );
  if (first === undefined) return { out: undefined, back: undefined };
  const out = legOf(first.packet, recording.events, births);
  if (recording.oneWay) return { out, back: undefined };
  const answered = new Set(copiesOf(first.packet, births));
  const answer = [...births.values()].find(
    (birth) =>
      birth.cause !== undefined && answered.has(birth.cause) && isIp(birth) && !isCopy(birth),
  );
  return {
    out,
    back: answer === undefined ? undefined : legOf(answer.packet, recording.events, births),
  };
}

/** The packets that the sender of a request sent on its flow, in order: the request, and what its program sent later. */
export function packetsOfFlow({ events, request }: Recording): readonly number[] {
  const born = events.filter((event): event is BornEvent => event.kind === "born");
  const own = born.filter(
    (birth) => birth.ns === request.sourceNs && isIp(birth) && !isCopy(birth),
  );
  const first = own.find(({ cause }) => cause === undefined);
  if (first === undefined) return [];
  const flow = flowOf(first.frame);
  return own.filter(({ frame }) => flowOf(frame) === flow).map(({ packet }) => packet);
}

/** Protocol, ends and ports; the id of an echo request stands among its ports. */
function flowOf(frame: BornEvent["frame"]): string {
  return `${frame.transport?.kind ?? ""} ${sourceOf(frame)} ${destinationOf(frame)}`;
}

/** How a packet ended: its last event. */
export function fateOf(leg: Leg): PacketEvent | undefined {
  return leg.events.findLast((event) => event.kind === "delivered" || event.kind === "dropped");
}

export function isPacketEvent(event: TraceEvent): event is PacketEvent {
  return "packet" in event;
}

/** A packet of the conversation: what IPv6 hosts say of themselves to find each other is none. */
function isIp({ frame: { network, transport } }: PacketStamp): boolean {
  if (network?.kind !== "ipv6") return network?.kind === "ipv4";
  return transport?.kind !== "icmpv6" || !isLinkTalk(transport.type);
}

/** Copies that a bridge or a tee makes of a packet carry it on; they are no answers. */
function isCopy(birth: BornEvent): boolean {
  return /flood|clone|copy|fragment/.test(birth.by);
}

function copiesOf(packet: number, births: ReadonlyMap<number, BornEvent>): readonly number[] {
  const family = [packet];
  for (const birth of births.values()) {
    if (birth.cause !== undefined && family.includes(birth.cause) && isCopy(birth))
      family.push(birth.packet);
  }
  return family;
}

/** The events from the packet's birth to the best end that it or one of its copies came to. */
function legOf(
  packet: number,
  events: readonly TraceEvent[],
  births: ReadonlyMap<number, BornEvent>,
): Leg {
  const family = new Set(copiesOf(packet, births));
  const own = events.filter(isPacketEvent).filter((event) => family.has(event.packet));
  const ended =
    own.find((event) => event.kind === "delivered") ??
    own.find((event) => event.kind === "dropped" && event.reason !== "OTHERHOST") ??
    own.at(-1);
  const line: number[] = [];
  for (let at = ended?.packet; at !== undefined && family.has(at); at = births.get(at)?.cause)
    line.unshift(at);
  const position = new Map(own.map((event, index) => [event, index]));
  const until = new Map<number, number>();
  line.forEach((id, index) => {
    const copy = births.get(line[index + 1] ?? -1);
    until.set(id, (copy === undefined ? undefined : position.get(copy)) ?? own.length);
  });
  // An original is followed up to the copy that went further.
  return { packet, events: own.filter((event, index) => index < (until.get(event.packet) ?? 0)) };
}
