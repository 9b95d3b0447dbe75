import type { TraceView } from "./trace-view.js";
import type { PacketEvent } from "./follow.js";

/** A namespace on the packet's way, with the devices it came in and went out by. */
export interface Hop {
  readonly ns: string;
  readonly in: string | undefined;
  readonly out: string | undefined;
  /** Numbers of the steps that happened here on the way out, and on the way back. */
  readonly steps: readonly number[];
}

/** Where the request went, hop by hop, until it arrived or was lost. */
export function pathOf({ conversation, steps }: TraceView): readonly Hop[] {
  const hops: { ns: string; in: string | undefined; out: string | undefined; steps: number[] }[] =
    [];
  const leg = conversation.out?.events ?? [];
  const hopOf = new Map<PacketEvent, number>();
  for (const event of leg) {
    const last = hops.at(-1);
    if (last === undefined || last.ns !== event.ns)
      hops.push({ ns: event.ns, in: undefined, out: undefined, steps: [] });
    const hop = hops.at(-1);
    if (hop === undefined) continue;
    hopOf.set(event, hops.length - 1);
    if (event.kind === "device" && event.direction === "rx" && hop.in === undefined)
      hop.in = event.dev;
    if (event.kind === "device" && event.direction === "tx") hop.out = event.dev;
  }
  for (const step of steps) {
    const at =
      step.leg === "out" ? hopOf.get(step.event) : hops.findLastIndex(({ ns }) => ns === step.ns);
    if (at !== undefined && at >= 0) hops[at]?.steps.push(step.n);
  }
  return hops;
}
