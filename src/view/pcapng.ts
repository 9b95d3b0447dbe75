import { encodeFrame } from "../wire/frame.js";
import { encodePcapng, type PcapngPacket } from "../wire/pcapng.js";
import { VXLAN_LINUX_PORT } from "../wire/vxlan.js";
import type { Step } from "./steps.js";
import type { TraceView } from "./trace-view.js";

/**
 * A trace as a capture: the packet as it is sent, on each link that it crosses, after each rewrite, and where it ends,
 * with a comment that names the step. An interface stands for each namespace and device (`worker-1/cni0`). Times are
 * those of the run, at least 1 µs apart, so that readers keep the order.
 */
export function tracePcapng(view: TraceView): Uint8Array {
  const interfaces: string[] = [];
  const packets: PcapngPacket[] = [];
  let time = -1;
  for (const step of view.steps.filter(isCaptured)) {
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

/** At the other steps the packet would only be what it was at the step before. */
function isCaptured({ n, event, changes, mark }: Step): boolean {
  return n === 1 || event.kind === "device" || changes.length > 0 || /^(ok|!|\?)$/.test(mark);
}

/** What a capture's reader has to be told: by itself it takes VXLAN on Linux's own port for another protocol. */
export function captureNotes(view: TraceView): readonly string[] {
  const tunnelled = view.steps.some(
    ({ frame: { transport } }) =>
      transport?.kind === "udp" && transport.destinationPort === VXLAN_LINUX_PORT,
  );
  return tunnelled
    ? [
        `VXLAN is on UDP port ${VXLAN_LINUX_PORT} here: tshark -d udp.port==${VXLAN_LINUX_PORT},vxlan`,
      ]
    : [];
}

function commentOf(step: Step): string {
  return `step ${step.n} ${step.step} ${step.mark === "" ? "" : `${step.mark} `}${step.effect}`.trim();
}
