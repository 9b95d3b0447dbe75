import { safeText } from "../base/safe-text.js";
import type { BornEvent, PolicyEvent, RuleEvent, TraceEvent } from "../core/trace.js";
import { type LoggedPacket, logLine, monitorLine } from "./packet-log.js";

/** A rule or a policy that a packet met. */
type WalkEvent = RuleEvent | PolicyEvent;

/** Where one packet is inside of one table. */
interface Walk {
  readonly key: string;
  readonly hook: string;
  chain: string;
  /** The last rule looked at in `chain`. */
  number: number;
  /** Chains that jumped, innermost last. */
  readonly callers: { readonly chain: string; readonly number: number }[];
}

interface Line {
  readonly packet: number;
  readonly ns: string;
  readonly text: string;
}

/**
 * What the kernel's own trace of these packets says: for rules of the legacy variant the lines of its log, for those of
 * the nft variant what `xtables-monitor --trace` prints. Where a packet met `-j TRACE`, only such packets are told, from
 * there on; where none did, all are. A line with `#` says whose the lines after it are.
 */
export function formatXtablesTrace(events: readonly TraceEvent[]): string {
  const tracer = new Tracer(events.some(startsTrace));
  for (const event of events) tracer.see(event);
  return tracer.text();
}

function startsTrace(event: TraceEvent): boolean {
  return event.kind === "rule" && event.matched && event.outcome === "TRACE";
}

/** What xtables-monitor calls a family: its address family, and the option of the tools that chooses it. */
const FAMILIES = { iptables: { number: 2, option: "-4" }, ip6tables: { number: 10, option: "-6" } };

class Tracer {
  readonly #onlyMarked: boolean;
  /** The namespace in which a packet is traced: a wire ends it. */
  readonly #marked = new Map<number, string>();
  readonly #walks = new Map<number, Walk>();
  readonly #parents = new Map<number, number>();
  readonly #lines: Line[] = [];

  constructor(onlyMarked: boolean) {
    this.#onlyMarked = onlyMarked;
  }

  see(event: TraceEvent): void {
    if (event.kind === "born") this.#born(event);
    if ((event.kind !== "rule" && event.kind !== "policy") || event.xtables === undefined) return;
    if (event.engine !== "iptables" && event.engine !== "ip6tables") return;
    const { variant } = event.xtables;
    const traced = !this.#onlyMarked || this.#marked.get(event.packet) === event.ns;
    if (startsTrace(event)) this.#marked.set(event.packet, event.ns);
    const walk = this.#walkOf(event);
    if (variant === "legacy") this.#legacy(event, walk, traced);
    else this.#nft(event, walk, traced || startsTrace(event));
    if (event.kind === "rule") follow(walk, event);
    if (ends(event)) this.#walks.delete(event.packet);
  }

  #born({ packet, cause }: BornEvent): void {
    if (cause !== undefined) this.#parents.set(packet, cause);
  }

  /** The packet's walk through this table; a new one when it is elsewhere now. */
  #walkOf(event: WalkEvent): Walk {
    const key = `${event.ns} ${event.hook} ${event.table}`;
    const known = this.#walks.get(event.packet);
    if (known?.key === key) return known;
    const walk: Walk = { key, hook: event.hook, chain: event.hook, number: 0, callers: [] };
    this.#walks.set(event.packet, walk);
    return walk;
  }

  /** Mirrors net/ipv4/netfilter/ip_tables.c:trace_packet(): matched rules, and the entries at the ends of chains. */
  #legacy(event: WalkEvent, walk: Walk, traced: boolean): void {
    const lines = leave(walk, event).map(
      ({ chain, number }) => `${event.table}:${chain}:return:${number + 1}`,
    );
    if (event.kind === "policy")
      lines.push(`${event.table}:${event.chain}:policy:${(event.xtables?.number ?? 0) + 1}`);
    else if (event.matched) lines.push(`${event.table}:${event.chain}:${entryKind(event, walk)}`);
    if (!traced) return;
    const packet = logLine(packetOf(event));
    for (const line of lines) this.#tellBeforeAnswers(event, `TRACE: ${line} ${packet}`);
  }

  /** The kernel tells a legacy rule before its target acts: what the target sent comes behind it. */
  #tellBeforeAnswers({ packet, ns }: WalkEvent, text: string): void {
    let at = this.#lines.length;
    while (at > 0 && this.#parents.get(this.#lines[at - 1]?.packet ?? -1) === packet) at--;
    this.#lines.splice(at, 0, { packet, ns, text });
  }

  /** Mirrors iptables/xtables-monitor.c:trace_cb(). */
  #nft(event: WalkEvent, walk: Walk, traced: boolean): void {
    leave(walk, event);
    if (!traced || (event.kind === "rule" && !event.matched)) return;
    const { packet, ns, table, chain } = event;
    const { number, option } =
      event.engine === "ip6tables" ? FAMILIES.ip6tables : FAMILIES.iptables;
    const id = `${number} ${packet.toString(16).padStart(8, "0")}`;
    if (!this.#toldPacket.has(walk)) {
      this.#toldPacket.add(walk);
      this.#lines.push({ packet, ns, text: `PACKET: ${id} ${monitorLine(packetOf(event))}` });
    }
    const what =
      event.kind === "policy"
        ? `policy:${event.policy} `
        : `rule:0x${(event.xtables?.number ?? 0).toString(16)}:${nftVerdict(event)}  ${option} -t ${table} ${event.text}`;
    this.#lines.push({ packet, ns, text: ` TRACE: ${id} ${table}:${chain}:${what}` });
  }

  readonly #toldPacket = new Set<Walk>();

  text(): string {
    let ns: string | undefined;
    let text = "";
    for (const line of this.#lines) {
      if (line.ns !== ns) text += `# ${safeText(line.ns)}\n`;
      ns = line.ns;
      text += `${safeText(line.text)}\n`;
    }
    return text;
  }
}

function packetOf(event: WalkEvent): LoggedPacket {
  const { frame, mark, xtables } = event;
  return { frame, in: event.in, out: event.out, mark, uid: xtables?.uid };
}

/** Goes back to the chain in which the event is: the chains that ended on the way, each with its number of rules. */
function leave(
  walk: Walk,
  event: WalkEvent,
): { readonly chain: string; readonly number: number }[] {
  const left: { readonly chain: string; readonly number: number }[] = [];
  const isIn = (): boolean =>
    event.kind === "policy"
      ? walk.chain === event.chain
      : walk.chain === event.chain && walk.number + 1 === event.number;
  while (!isIn()) {
    // A chain that a goto left the base chain for ends in the base chain's policy.
    const back = walk.callers.pop() ?? { chain: event.chain, number: walk.number };
    left.push({ chain: walk.chain, number: walk.number });
    walk.chain = back.chain;
    walk.number = back.number;
    if (event.kind === "rule" && walk.callers.length === 0 && walk.chain === event.chain) break;
  }
  return left;
}

/** Where the packet goes on after a rule. */
function follow(walk: Walk, event: RuleEvent): void {
  walk.number = event.number;
  if (!event.matched) return;
  if (event.effect === "jump") walk.callers.push({ chain: walk.chain, number: walk.number });
  if (event.effect === "jump" || event.effect === "goto") {
    walk.chain = event.outcome ?? walk.chain;
    walk.number = 0;
  }
  if (event.effect !== "return") return;
  const back = walk.callers.pop();
  walk.chain = back?.chain ?? walk.hook;
  walk.number = back?.number ?? walk.number;
}

function ends(event: WalkEvent): boolean {
  return event.kind === "policy" || ["accept", "drop", "stolen"].includes(event.effect);
}

/** A verdict without any test looks like the entry at the end of a chain. Mirrors get_chainname_rulenum(). */
function entryKind({ text, chain, number }: RuleEvent, { hook }: Walk): string {
  const bare = ["ACCEPT", "DROP", "RETURN", "QUEUE"].some(
    (verdict) => text === `-A ${chain} -j ${verdict}`,
  );
  if (!bare) return `rule:${number}`;
  return `${chain === hook ? "policy" : "return"}:${number}`;
}

/** As libnftnl words them; it has no word for RETURN. */
function nftVerdict({ effect, outcome }: RuleEvent): string {
  switch (effect) {
    case "jump":
      return `JUMP:${outcome}`;
    case "goto":
      return `GOTO:${outcome}`;
    case "return":
      return "0xfffffffb";
    case "accept":
      return "ACCEPT";
    case "drop":
      return "DROP";
    case "stolen":
      return "STOLEN";
    case "continue":
      return "CONTINUE";
  }
}
