import type { BornEvent, TraceEvent } from "../core/trace.js";
import { destinationOf, sourceOf } from "../view/fields.js";
import { isPacketEvent, type PacketEvent } from "../view/follow.js";
import { formatFrame } from "../wire/format-frame.js";
import { stepsOf } from "../view/steps.js";
import type { TraceView } from "../view/trace-view.js";
import type { TraceModel } from "./trace-model.js";

/** One packet of a run: of the name lookup, of the conversation, or one that either caused. */
export interface PacketRow {
  readonly name: string;
  readonly id: number;
  readonly ns: string;
  readonly what: string;
  readonly from: string;
  readonly to: string;
  readonly fate: string;
  /** The packet's own events as a trace. */
  view(): TraceView;
}

/** Every packet of a run, in the order in which they were born. */
export function packetsOf(model: TraceModel | undefined): readonly PacketRow[] {
  if (model === undefined) return [];
  const { recording } = model.view;
  return [
    ...rowsOf(model.view, recording.lookupEvents, "DNS "),
    ...rowsOf(model.view, recording.events, ""),
  ];
}

function rowsOf(
  view: TraceView,
  events: readonly TraceEvent[],
  prefix: string,
): readonly PacketRow[] {
  const byPacket = new Map<number, PacketEvent[]>();
  for (const event of events.filter(isPacketEvent)) {
    const known = byPacket.get(event.packet);
    if (known === undefined) byPacket.set(event.packet, [event]);
    else known.push(event);
  }
  return [...byPacket].flatMap(([id, own]) => {
    const birth = own.find((event): event is BornEvent => event.kind === "born");
    return birth === undefined ? [] : [rowOf(view, events, prefix, id, birth, own)];
  });
}

function rowOf(
  view: TraceView,
  events: readonly TraceEvent[],
  prefix: string,
  id: number,
  birth: BornEvent,
  own: readonly PacketEvent[],
): PacketRow {
  const end = own.findLast((event) => event.kind === "delivered" || event.kind === "dropped");
  const arp = birth.frame.network?.kind === "arp";
  return {
    name: `packet ${id}`,
    id,
    ns: birth.ns,
    what: `${prefix}${birth.by}`,
    from: arp ? formatFrame(birth.frame) : sourceOf(birth.frame),
    to: arp ? "" : destinationOf(birth.frame),
    fate:
      end === undefined
        ? ""
        : end.kind === "delivered"
          ? `ok delivered to ${end.to}`
          : end.kind === "dropped"
            ? `! ${end.reason}`
            : "",
    view() {
      const conversation = { out: { packet: id, events: own }, back: undefined };
      const recording = { ...view.recording, events };
      return {
        recording,
        conversation,
        steps: stepsOf(recording, conversation),
        verdict: view.verdict,
      };
    },
  };
}
