import { UNDERLAY } from "../../kube/nodes.js";
import { podAddresses } from "../../kube/own-addresses.js";
import { formatIp } from "../../wire/ip.js";
import type { Hop } from "../../view/path.js";
import type { Line, Span } from "../style.js";
import type { TraceModel } from "../trace-model.js";

/** Source to goal in one line: `[ ]` around where the packet is, `x` where it was lost. */
export function mapStrip(model: TraceModel, at: number, width: number): Line {
  const full = stripSpans(model, at, false);
  return full.reduce((sum, { text }) => sum + text.length, 0) + 1 <= width
    ? [" ", ...full]
    : [" ", ...stripSpans(model, at, true)];
}

/** Under the strip: what the packet is doing, and whether the reply was sent. */
export function mapNote(model: TraceModel, at: number): Line {
  const step = model.steps[at];
  if (step === undefined) return "";
  const reply = model.steps.find(({ leg }) => leg === "back");
  const told =
    reply === undefined
      ? "no reply"
      : step.leg === "back"
        ? `reply: on its way back`
        : `reply: not sent yet (step ${reply.n})`;
  return `   ${packetWord(model, at)} is at ${step.ns}${step.dev === undefined ? "" : ` ${step.dev}`}${step.hook === undefined ? "" : `, ${step.hook.toLowerCase()}`}   ${told}`;
}

/** The way as a list, with what else hangs on each node. */
export function mapLines(model: TraceModel, at: number): readonly Line[] {
  const here = hopAt(model, at);
  const lines: Line[] = [];
  model.path.forEach((hop, index) => {
    if (hop.ns === UNDERLAY) {
      lines.push("  ==  the network between nodes");
      return;
    }
    const goal =
      index === model.path.length - 1 && model.view.verdict.exit === 0 ? "   <-- goal" : "";
    const lost = isLost(model, index) ? "   x  lost here" : "";
    const now =
      index === here
        ? [
            {
              text: `   <== ${packetWord(model, at)}, step ${model.steps[at]?.n ?? 0}`,
              tone: "key" as const,
            },
          ]
        : [];
    lines.push([
      { text: titleOf(model, hop.ns), tone: index === here ? "title" : undefined },
      ...now,
      goal,
      { text: lost, tone: "bad" },
    ]);
    if (hop.in !== undefined) lines.push(`  | in  ${hop.in}`);
    for (const pod of podsOn(model, hop.ns)) lines.push(`  +-- ${pod}`);
    if (hop.out !== undefined && index < model.path.length - 1) lines.push(`  | out ${hop.out}`);
  });
  const done = here < 0 ? 0 : here;
  return [...lines, `hop ${done + 1} of ${model.path.length}`];
}

function titleOf(model: TraceModel, ns: string): string {
  const address = [...model.view.recording.names].find(([, name]) => name === ns)?.[0];
  return address === undefined ? ns : `${ns} (${address})`;
}

function podsOn(model: TraceModel, ns: string): readonly string[] {
  const { world } = model.sources;
  if (world.kind !== "cluster") return [];
  const onPath = new Set(model.path.map((hop) => hop.ns));
  return world.cluster.pods
    .filter((pod) => pod.node === ns && !pod.hostNetwork && !onPath.has(pod.key))
    .map((pod) => [pod.key, ...podAddresses(pod).map(formatIp).slice(0, 1)].join("  "));
}

function stripSpans(model: TraceModel, at: number, short: boolean): readonly Span[] {
  const here = hopAt(model, at);
  const spans: Span[] = [];
  model.path.forEach((hop, index) => {
    const next = model.path[index + 1];
    if (hop.ns === UNDERLAY) {
      spans.push({ text: index === here ? " [====] " : " ==== " });
      if (next?.in !== undefined) spans.push({ text: `${next.in}--` });
      return;
    }
    const name = short ? (hop.ns.split("/").at(-1) ?? hop.ns) : hop.ns;
    const lost = isLost(model, index) ? " x" : "";
    spans.push({
      text: index === here ? `[${name}]` : name,
      tone: index === here ? "title" : undefined,
    });
    if (lost !== "") spans.push({ text: lost, tone: "bad" });
    if (next !== undefined) spans.push({ text: linkText(hop, next) });
  });
  return spans;
}

/** A cable is called by its end on the node. */
function linkText(hop: Hop, next: Hop): string {
  if (next.ns === UNDERLAY) return `--${hop.out ?? ""}`;
  return `--${(hop.ns.includes("/") ? next.in : hop.out) ?? ""}--`;
}

function hopAt(model: TraceModel, at: number): number {
  const n = model.steps[at]?.n;
  return n === undefined ? -1 : model.path.findIndex((hop) => hop.steps.includes(n));
}

function isLost(model: TraceModel, index: number): boolean {
  const { verdict } = model.view;
  return verdict.exit === 1 && !verdict.onReply && index === model.path.length - 1;
}

function packetWord(model: TraceModel, at: number): string {
  const transport = model.steps[at]?.frame.transport;
  if (transport?.kind === "tcp")
    return (transport.flags & 2) === 0 ? "TCP" : (transport.flags & 16) === 0 ? "SYN" : "SYN+ACK";
  return transport?.kind.toUpperCase() ?? "packet";
}
