import { DROP_REASON_TEXTS } from "../../view/drop-reasons.js";
import { verdictName } from "../../view/outcome.js";
import { OUTCOMES } from "../../view/outcomes.js";
import { placeText } from "../../view/text.js";
import type { Step } from "../../view/steps.js";
import { reasonOf } from "../../view/why.js";
import { type Line, wrap } from "../style.js";
import type { TraceModel } from "../trace-model.js";
import { headerTable } from "./headers.js";

/** One sentence about the step, what it changed, and the rule or object behind it. */
export function whyLines(
  model: TraceModel,
  at: number,
  width: number,
  long: boolean,
): readonly Line[] {
  const step = model.steps[at];
  if (step === undefined) return emptyTrace(model, width);
  return [
    ...wrap(`Step ${step.n}: ${reasonOf(step)}`, width),
    ...endLines(model, step, width),
    ...(long ? wrap(longReason(step), width) : []),
    ...changeLines(model, at, width),
    ...ruleLines(model, step, width),
  ];
}

/** A drop also says what the sender sees and what to look at; the last step gives the verdict. */
function endLines(model: TraceModel, step: Step, width: number): readonly Line[] {
  const { verdict } = model.view;
  const lines: Line[] = [];
  const decides = verdict.deciding === step.event || step.event.kind === "dropped";
  if (decides && verdict.exit !== 0) {
    const { means, next } = OUTCOMES[verdict.outcome];
    const ruled = step.place === undefined ? means : `by the rule at ${placeText(step.place)}`;
    const because = verdict.because === "" ? ruled : verdict.because;
    const [first = "", ...rest] = wrap(`${verdictName(verdict)}: ${because}`, width);
    lines.push([{ text: first, tone: verdict.exit === 3 ? "unknown" : "bad" }], ...rest);
    lines.push(...wrap(`SENDER SEES  ${verdict.senderSees}`, width, "             "));
    const told = verdict.outcome === "DENIED" ? DENIED_NEXT : because === ruled ? RULE_NEXT : next;
    lines.push(...wrap(`NEXT  ${told}`, width, "      "));
  }
  if (step.event.kind === "dropped" && step.event.reason !== "NETFILTER_DROP") {
    const { condition, cause, look } = DROP_REASON_TEXTS[step.event.reason];
    lines.push(
      ...wrap(condition, width),
      ...wrap(`CAUSE  ${cause}`, width, "       "),
      ...wrap(`LOOK   ${look}`, width, "       "),
    );
  }
  return lines;
}

const RULE_NEXT = "press 4: the chain around it; 7: its file; w: what the policies say";
const DENIED_NEXT = "press w: the policies, the clause that fails, and fixes that were tried out";

function emptyTrace(model: TraceModel, width: number): readonly Line[] {
  const { verdict } = model.view;
  return [
    [
      { text: verdictName(verdict), tone: verdict.exit === 3 ? "unknown" : "bad" },
      "  no packet was sent",
    ],
    ...wrap(verdict.because, width),
    ...wrap(`NEXT  ${OUTCOMES[verdict.outcome].next}`, width, "      "),
  ];
}

function changeLines(model: TraceModel, at: number, width: number): readonly Line[] {
  const rows = model.headers(at);
  const changed = rows.filter((row) => row.changed);
  // Checksums follow from the rest, and are told last.
  const isChecksum = ({ name }: { readonly name: string }): boolean => name.endsWith("checksum");
  const ordered = [...changed.filter((row) => !isChecksum(row)), ...changed.filter(isChecksum)];
  if (ordered.length > 0) return headerTable(ordered, width, undefined);
  const value = (name: string): string => rows.find((row) => row.name === name)?.after ?? "";
  const ports = value("tcp.srcport") === "" ? "udp" : "tcp";
  const side = (address: string, port: string): string =>
    `${value(address)}${value(`${ports}.${port}`) === "" ? "" : `:${value(`${ports}.${port}`)}`}`;
  if (value("ip.src") === "") return [];
  const flow = `${side("ip.src", "srcport")} > ${side("ip.dst", "dstport")}`;
  return wrap(`packet ${flow}  ttl ${value("ip.ttl")}  not changed here`, width, "       ");
}

function ruleLines(model: TraceModel, step: Step, width: number): readonly Line[] {
  const lines: Line[] = [];
  const { place, counter, text } = step;
  if (place !== undefined) {
    const pkts = counter === undefined ? "" : `  pkts ${counter[0]} => ${counter[1]}`;
    const told = `rule ${placeText(place)}`;
    const more = "  (4: whole chain)";
    const fits = told.length + pkts.length + more.length <= width;
    lines.push([{ text: told, tone: "key" }, pkts, fits ? more : ""]);
  }
  if (text !== undefined) lines.push(...wrap(`     ${text}`, width, "     "));
  if (place !== undefined) {
    const maker = model.view.recording.makers.get(place.file);
    const origin = maker?.origins.get(place.line);
    const by =
      maker === undefined
        ? "not made by kube-proxy or the CNI"
        : `made by ${maker.name}${origin === undefined ? "" : ` for ${origin}`}`;
    lines.push(...wrap(`     ${by}`, width, "     "));
  }
  const state = step.state.filter((line) => !line.startsWith("made for"));
  return [...lines, ...state.flatMap((line) => wrap(`state ${line}`, width, "      "))];
}

/** The longer reason, in the kernel's words. */
function longReason({ event }: Step): string {
  switch (event.kind) {
    case "rule":
    case "policy":
      return `${event.engine} table ${event.table} hangs on the ${event.hook} hook; its chains are walked in order, in ${event.in ?? "none"}, out ${event.out ?? "none"} (net/netfilter/x_tables.c).`;
    case "route":
      return `The ${event.direction} route lookup gave: ${event.text} (net/ipv4/fib_trie.c:fib_table_lookup()).`;
    case "neighbour":
      return `Neighbour ${event.address}: ${event.why}; states are those of RFC 4861 7.3.2, kept by net/core/neighbour.c.`;
    case "conntrack":
      return `Connection tracking: ${event.why === "" ? event.action : event.why} (net/netfilter/nf_conntrack_core.c:nf_conntrack_in()).`;
    case "bridge":
      return `Bridge ${event.bridge}: ${event.why} (net/bridge/br_forward.c, br_fdb.c).`;
    case "device":
      return "A veth hands the frame to its peer's receive path without copying it (drivers/net/veth.c:veth_xmit()).";
    case "rewrite":
      return `Changed by ${event.by}${event.hook === undefined ? "" : ` at ${event.hook}`}; checksums are adjusted for the new fields (RFC 1624).`;
    case "delivered":
      return `Taken by ${event.to}.`;
    case "dropped":
      return `skb_drop_reason ${event.reason} in ${event.where}.`;
    case "unknown":
      return event.what;
    case "log":
      return `${event.by} at ${event.hook}, in ${event.in ?? "none"}, out ${event.out ?? "none"} (net/netfilter/nf_log_syslog.c).`;
    case "born":
      return `Born of ${event.by}.`;
  }
}
