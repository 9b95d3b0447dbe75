import { deliver } from "../../core/drop.js";
import type { HookState, Verdict } from "../../core/hooks.js";
import { ACCEPT } from "../../core/hooks.js";
import type { SkBuff } from "../../core/skbuff.js";
import { type LogRequest, type RuleEvent, told, type XtablesFacts } from "../../core/trace.js";
import { type Frame as WireFrame, type IpHeader, ipLength } from "../../wire/frame.js";
import type { IpAddress } from "../../wire/ip.js";
import { upperHeaderOf } from "../ipv6-headers.js";
import { formatAddress, underMask } from "./addresses.js";
import type { Candidates } from "./chain-index.js";
import type { CompiledChain, CompiledChains } from "./compiled-chain.js";
import { type CompiledRule, fitsInterface, fitsProtocol6 } from "./compiled-rule.js";
import type { MatchResult, TargetResult } from "./extension.js";
import { formatProtocol } from "./protocols.js";
import { type Action, actionName, type AddressTest, type Rule, type RuleSpec } from "./rule.js";
import type { Chain, Ruleset, Table } from "./ruleset.js";
import type { Variant } from "./tables.js";

/** Where a walk goes on after a chain: behind the rule that jumped. */
interface Frame {
  readonly chain: CompiledChain;
  readonly index: number;
  readonly candidates: Candidates | undefined;
  /** Where it goes on after that chain. */
  readonly below: Frame | undefined;
  readonly depth: number;
}

/** The most chains a packet may be inside of; nft stops at 16, legacy as deep as its rules go. */
const MAX_DEPTH = 4_096;

/** Rules in force. */
export interface Installed {
  readonly ruleset: Ruleset;
  readonly compiled: CompiledChains;
}

/**
 * Shows a packet to the table's chain of this hook, rule by rule. Mirrors net/ipv4/netfilter/ip_tables.c:ipt_do_table(),
 * net/ipv6/netfilter/ip6_tables.c:ip6t_do_table() and net/netfilter/nf_tables_core.c:nft_do_chain().
 *
 *   base chain ──jump──▶ user chain ──goto──▶ user chain ──RETURN or end──▶ behind the jump
 *        └── end, or RETURN ──▶ policy
 *
 * Rules that the packet cannot match are stepped over, as long as nobody listens to what it is shown.
 */
export function walkTable(
  installed: Installed,
  table: Table,
  skb: SkBuff,
  state: HookState,
): Verdict {
  const base = table.chains.get(state.hook);
  if (base === undefined) return ACCEPT;
  const { ruleset, compiled } = installed;
  return new Walk(ruleset, table, compiled.of(table, base), skb, state).run();
}

class Walk {
  readonly #ruleset: Ruleset;
  readonly #table: Table;
  readonly #base: Chain;
  readonly #skb: SkBuff;
  readonly #state: HookState;
  readonly #tracing: boolean;
  #back: Frame | undefined;
  #chain: CompiledChain;
  #candidates: Candidates | undefined;
  #index = 0;
  #looked = 0;

  constructor(ruleset: Ruleset, table: Table, base: CompiledChain, skb: SkBuff, state: HookState) {
    this.#ruleset = ruleset;
    this.#table = table;
    this.#base = base.chain;
    this.#skb = skb;
    this.#state = state;
    this.#tracing = state.ns.sim.trace !== undefined;
    this.#chain = base;
    this.#candidates = this.#lookup();
  }

  run(): Verdict {
    for (;;) {
      const compiled = this.#nextRule();
      if (compiled === undefined) {
        if (!this.#return()) return this.#policy();
        continue;
      }
      const matched = this.#tracing ? this.#testAndTell(compiled.rule) : this.#test(compiled);
      if (matched === "hotdrop") return this.#dropped();
      if (matched !== true) continue;
      const verdict = this.#act(compiled);
      if (verdict !== undefined) return verdict;
    }
  }

  #lookup(): Candidates | undefined {
    return this.#tracing ? undefined : this.#chain.candidates(this.#skb, this.#state);
  }

  /** The next rule that the packet may match. Those before it count as looked at. */
  #nextRule(): CompiledRule | undefined {
    const chain = this.#chain;
    const from = this.#index;
    let at = from;
    if (this.#candidates !== undefined) {
      if (this.#candidates.frame !== this.#skb.frame) this.#candidates = this.#lookup();
      at = this.#candidates?.next(from, chain.length) ?? from;
    }
    const rule = chain.rule(at);
    this.#index = rule === undefined ? at : at + 1;
    this.#looked += this.#index - from;
    return rule;
  }

  /** Goes back behind the last jump; false in the base chain. */
  #return(): boolean {
    const back = this.#back;
    if (back === undefined) return false;
    this.#back = back.below;
    this.#chain = back.chain;
    this.#index = back.index;
    this.#candidates = back.candidates;
    return true;
  }

  #test(rule: CompiledRule): MatchResult {
    const header = this.#skb.frame.network;
    if (header?.kind === "ipv4") {
      if (!rule.fits(header, this.#state)) return false;
    } else if (header?.kind === "ipv6") {
      const fits = rule.fits6(this.#skb.frame, header, this.#state, this.#ruleset.variant);
      if (fits !== true) return fits;
    }
    const first = rule.test?.matches(this.#skb, this.#state) ?? true;
    if (first !== true) return first;
    for (const match of rule.moreTests) {
      const result = match.matches(this.#skb, this.#state);
      if (result !== true) return result;
    }
    return true;
  }

  /** The same for someone who listens: what failed is told. */
  #testAndTell(rule: Rule): MatchResult {
    const { spec } = rule;
    const failed = failedTest(spec, this.#skb.frame, this.#state, this.#ruleset.variant);
    if (failed !== undefined) {
      const isDropped = failed === "headers" && this.#ruleset.variant === "legacy";
      const why = describeFailure(failed, this.#skb, this.#state);
      this.#tell(rule, false, why, isDropped ? "drop" : "continue");
      return isDropped ? "hotdrop" : false;
    }
    for (const match of spec.matches) {
      const result = match.matches(this.#skb, this.#state);
      if (result === true) continue;
      this.#tellMatchFailure(rule, match, result);
      return result;
    }
    return true;
  }

  #tellMatchFailure(rule: Rule, match: RuleSpec["matches"][number], result: MatchResult): void {
    const { name, fidelity } = match.extension;
    if (result === "unknown") {
      const told = fidelity === "unmodelled" ? "" : match.why(this.#skb, this.#state);
      const what = told === "" ? `match "${name}" is not modelled` : told;
      this.#tellUnknown(what, rule);
      this.#tell(rule, false, what, "continue");
      return;
    }
    const why = match.why(this.#skb, this.#state);
    const text = why === "" ? `-m ${name} ${match.text}` : why;
    this.#tell(rule, false, text, result === "hotdrop" ? "drop" : "continue");
  }

  /** Counts the rule and does what it says; undefined when the walk goes on. */
  #act(compiled: CompiledRule): Verdict | undefined {
    const { rule, action } = compiled;
    rule.packets++;
    rule.bytes += ipLength(this.#skb.frame);
    switch (action.kind) {
      case "none":
        this.#tellMatched(rule, "continue");
        return undefined;
      case "jump":
      case "goto":
        return this.#enter(compiled, action);
      case "verdict":
        return this.#verdict(rule, action.verdict);
      case "target": {
        const verdict = this.#target(rule, action.target.apply(this.#skb, this.#state));
        if (this.#tracing && action.target.log !== undefined) this.#tellLog(action.target.log);
        return verdict;
      }
    }
  }

  #verdict(
    rule: Rule,
    verdict: Extract<Action, { kind: "verdict" }>["verdict"],
  ): Verdict | undefined {
    switch (verdict) {
      case "ACCEPT":
        this.#tellMatched(rule, "accept");
        return ACCEPT;
      case "DROP":
        this.#tellMatched(rule, "drop");
        return this.#dropped();
      case "QUEUE":
        // Nobody listens on queue 0, so a queued packet is dropped.
        this.#tellMatched(rule, "drop");
        return { ...this.#dropped(), isSilent: true };
      case "RETURN":
        this.#tellMatched(rule, "return");
        return this.#return() ? undefined : this.#policy();
    }
  }

  #target(rule: Rule, result: TargetResult): Verdict | undefined {
    switch (result.kind) {
      case "continue":
        this.#tellMatched(rule, "continue");
        return undefined;
      case "unknown":
        if (this.#tracing)
          this.#tellUnknown(`target "${actionName(rule.spec.action)}" is not modelled`, rule);
        this.#tellMatched(rule, "continue");
        return undefined;
      case "drop":
        this.#tellMatched(rule, "drop");
        return { ...result, where: this.#where() };
      case "accept":
      case "stolen":
        this.#tellMatched(rule, result.kind);
        return result;
      case "taken":
        this.#tellMatched(rule, "stolen");
        deliver(this.#skb, result.by);
        return { kind: "stolen", by: result.by };
    }
  }

  #enter(
    rule: CompiledRule,
    { kind, chain: name }: Extract<Action, { kind: "jump" | "goto" }>,
  ): Verdict | undefined {
    const chain = this.#chain.target(rule, name);
    if (this.#tracing) this.#tellMatched(rule.rule, kind);
    const depth = this.#back?.depth ?? 0;
    if (chain === undefined || depth >= MAX_DEPTH) return this.#dropped();
    if (kind === "jump") {
      this.#back = {
        chain: this.#chain,
        index: this.#index,
        candidates: this.#candidates,
        below: this.#back,
        depth: depth + 1,
      };
    }
    this.#chain = chain;
    this.#index = 0;
    this.#candidates = this.#lookup();
    return undefined;
  }

  /** ip_tables counts every policy, nf_tables those of chains that were given counters. */
  #policy(): Verdict {
    const base = this.#base;
    const policy = base.policy ?? "ACCEPT";
    const before = base.packets;
    if (base.counted || this.#ruleset.variant === "legacy") {
      base.packets++;
      base.bytes += ipLength(this.#skb.frame);
    }
    this.#state.ns.sim.trace?.(
      told(this.#skb, {
        kind: "policy",
        in: this.#state.in?.name,
        out: this.#state.out?.name,
        engine: this.#engine,
        hook: this.#state.hook,
        table: this.#table.name,
        chain: base.name,
        policy,
        place: base.place,
        rulesLookedAt: this.#looked,
        xtables: this.#facts(base.rules.length),
        counter: [before, base.packets],
      }),
    );
    return policy === "ACCEPT" ? ACCEPT : this.#dropped();
  }

  #dropped(): Extract<Verdict, { kind: "drop" }> {
    return { kind: "drop", reason: "NETFILTER_DROP", where: this.#where() };
  }

  /** The function that skb:kfree_skb names. */
  #where(): string {
    return this.#ruleset.variant === "nft" ? "nft_do_chain" : "nf_hook_slow";
  }

  get #engine(): string {
    return this.#ruleset.family === "ipv4" ? "iptables" : "ip6tables";
  }

  #tellMatched(rule: Rule, effect: RuleEvent["effect"]): void {
    if (this.#tracing) this.#tell(rule, true, undefined, effect);
  }

  #tell(
    rule: Rule,
    matched: boolean,
    failed: string | undefined,
    effect: RuleEvent["effect"],
  ): void {
    this.#state.ns.sim.trace?.(
      told(this.#skb, {
        kind: "rule",
        in: this.#state.in?.name,
        out: this.#state.out?.name,
        engine: this.#engine,
        hook: this.#state.hook,
        table: this.#table.name,
        chain: this.#chain.chain.name,
        number: this.#index,
        text: this.#chain.text(this.#index - 1, this.#ruleset.variant),
        place: rule.spec.place,
        matched,
        failed,
        outcome: matched ? actionName(rule.spec.action) : undefined,
        xtables: this.#facts(rule.handle),
        effect,
        counter: [matched ? rule.packets - 1 : rule.packets, rule.packets],
      }),
    );
  }

  #facts(number: number): XtablesFacts {
    const { socket } = this.#skb;
    const uid = socket?.holder === "program" ? socket.uid : undefined;
    return { variant: this.#ruleset.variant, number, uid };
  }

  #tellLog(request: LogRequest): void {
    const { bridge, socket } = this.#skb;
    const [from, to] = [this.#state.in?.name, this.#state.out?.name];
    const [port, outPort] = [bridge?.physicalIn?.name, bridge?.physicalOut?.name];
    const sender = socket?.holder === "program" ? socket : undefined;
    this.#state.ns.sim.trace?.(
      told(this.#skb, {
        ...request,
        kind: "log",
        hook: this.#state.hook,
        in: from,
        out: to,
        physicalIn: port === from ? undefined : port,
        physicalOut: outPort === to ? undefined : outPort,
        uid: sender?.uid,
        gid: sender?.gid,
      }),
    );
  }

  #tellUnknown(what: string, rule: Rule): void {
    this.#state.ns.sim.trace?.(
      told(this.#skb, {
        kind: "unknown",
        what,
        place: rule.spec.place,
      }),
    );
  }
}

type BasicTest = "source" | "destination" | "in" | "out" | "protocol" | "fragment" | "headers";

/** The first of the rule's own tests that the packet fails. Mirrors ip_packet_match() and ip6_packet_match(). */
function failedTest(
  spec: RuleSpec,
  frame: WireFrame,
  state: HookState,
  variant: Variant,
): BasicTest | undefined {
  const header = frame.network;
  if (header === undefined || header.kind === "arp") return undefined;
  if (spec.source !== undefined && !fitsAddress(spec.source, header.source)) return "source";
  if (spec.destination !== undefined && !fitsAddress(spec.destination, header.destination))
    return "destination";
  if (spec.in !== undefined && !fitsInterface(spec.in, state.in?.name)) return "in";
  if (spec.out !== undefined && !fitsInterface(spec.out, state.out?.name)) return "out";
  if (header.kind === "ipv6") {
    if (spec.protocol === undefined) return undefined;
    if (fitsProtocol6(spec.protocol, frame, header, variant) === true) return undefined;
    return upperHeaderOf(frame, header, variant === "nft") === undefined ? "headers" : "protocol";
  }
  if (
    spec.protocol !== undefined &&
    (header.protocol === spec.protocol.number) === spec.protocol.invert
  )
    return "protocol";
  if (spec.fragment !== undefined && header.fragmentOffset > 0 === spec.fragment.invert)
    return "fragment";
  return undefined;
}

function fitsAddress(test: AddressTest, address: IpAddress): boolean {
  return underMask(address, test) !== test.invert;
}

function describeFailure(failed: BasicTest, skb: SkBuff, state: HookState): string {
  const { network } = skb.frame;
  if (network === undefined || network.kind === "arp") return "";
  switch (failed) {
    case "source":
      return `packet comes from ${formatAddress(network.source)}`;
    case "destination":
      return `packet goes to ${formatAddress(network.destination)}`;
    case "in":
      return state.in === undefined
        ? "packet has no input device here"
        : `packet came in by ${state.in.name}`;
    case "out":
      return state.out === undefined
        ? "packet has no output device here"
        : `packet goes out by ${state.out.name}`;
    case "protocol":
      return `packet is ${formatProtocol(protocolOf(skb.frame, network))}`;
    case "fragment":
      return network.kind === "ipv4" && network.fragmentOffset > 0
        ? "packet is a later fragment"
        : "packet is no later fragment";
    case "headers":
      return "packet's extension headers cannot be followed to the protocol";
  }
}

function protocolOf(frame: WireFrame, network: IpHeader): number {
  if (network.kind === "ipv4") return network.protocol;
  return upperHeaderOf(frame, network, false)?.protocol ?? network.protocol;
}
