import { encodeFrame } from "../wire/frame.js";
import { encodePcapng, type PcapngPacket } from "../wire/pcapng.js";
import type { Step } from "./steps.js";
import type { TraceView } from "./trace-view.js";

/**
 * The steps of a trace as a capture: a packet each, with a comment that names the step. An interface stands for each
 * namespace and device (`worker-1/cni0`). Times are those of the run, at least 1 µs apart, so that readers keep the order.
 */
export function tracePcapng(view: TraceView): Uint8Array {
  const interfaces: string[] = [];
  const packets: PcapngPacket[] = [];
  let time = -1;
  for (const step of view.steps) {
    const name = `${step.ns}/${step.dev ?? "ip"}`;
    let index = interfaces.indexOf(name);
    if (index < 0) index = interfaces.push(name) - 1;
    time = Math.max(time + 1, step.time);
    packets.push({
      interface: index,
      time,
      bytes: encodeFrame(step.frame),
      comment: commentOf(step),
    });
  }
  return encodePcapng({ interfaces, packets });
}

function commentOf(step: Step): string {
  return `step ${step.n} ${step.step} ${step.mark === "" ? "" : `${step.mark} `}${step.effect}`.trim();
}
