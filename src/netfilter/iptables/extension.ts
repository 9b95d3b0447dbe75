import type { Hook, HookState, Verdict } from "../../core/hooks.js";
import type { SkBuff } from "../../core/skbuff.js";
import type { LogRequest } from "../../core/trace.js";
import type { LabelNames } from "../conntrack/labels.js";
import type { RuleFamily } from "./addresses.js";
import { checkOptions, OptionArgs, type OptionSpec } from "./options.js";
import type { TableName, Variant } from "./tables.js";
import type { Range } from "./values.js";

/** `-p`, as far as it was read. */
export interface ProtocolTest {
  readonly number: number;
  readonly invert: boolean;
}

/** What exists outside the rules that they may name. Lookups give undefined for what does not exist. */
export interface RuleEnvironment {
  /** The family of an ipset: `IPv4`, `IPv6`, or `any` for sets without. */
  readonly set?: (name: string) => "IPv4" | "IPv6" | "any" | undefined;
  /** Rules may name sets that are not there, as in a dump without its sets; asking one gives no certain answer. */
  readonly missingSets?: boolean;
  readonly account?: (name: string) => boolean;
  /** What a conntrack timeout policy is for; protocol 255 stands for those without a tracker of their own. */
  readonly timeoutPolicy?: (
    name: string,
  ) => { readonly family: RuleFamily; readonly protocol: number } | undefined;
  /** Whether the kernel keeps what `-j CT --ctevents` says: with nf_conntrack_events 2 only while somebody listens. */
  readonly keepsEventMasks?: boolean;
  /** What /etc/xtables/connlabel.conf says; undefined where there is none. */
  readonly labels?: LabelNames | undefined;
  /** A rate estimator made by a RATEEST rule that is in the kernel. */
  readonly estimator?: (name: string) => boolean;
}

/** Whether a rule asks for one of these protocols and not for all others. */
export function isPositive(test: ProtocolTest | undefined, ...numbers: readonly number[]): boolean {
  return test !== undefined && !test.invert && numbers.includes(test.number);
}

/** What the readers of a rule's words may look at. */
export interface ParseContext {
  readonly family: RuleFamily;
  readonly variant: Variant;
  readonly table: TableName;
  readonly protocol: ProtocolTest | undefined;
  readonly environment: RuleEnvironment;
  /** Prints a line to standard error, as the tool does. */
  readonly warn: (line: string) => void;
}

/** What the kernel looks at when a rule is added. */
export interface KernelContext {
  readonly family: RuleFamily;
  readonly variant: Variant;
  readonly table: TableName;
  /** The hooks from which the rule's chain can be reached; empty for an unreferenced chain. */
  readonly hooks: ReadonlySet<Hook>;
  readonly protocol: ProtocolTest | undefined;
  readonly matches: readonly Match[];
  readonly environment: RuleEnvironment;
}

/** The kernel's answer to a rule it does not take, in strerror's words. */
export type KernelRefusal =
  | "Invalid argument"
  | "No such file or directory"
  | "Numerical result out of range"
  | "Numerical argument out of domain"
  | "Operation not supported"
  | "Too many links";

/** Where an extension may stand; an absent list allows all. */
export interface Placement {
  readonly tables?: readonly TableName[];
  readonly hooks?: readonly Hook[];
  /** The rule must have one of these protocols, not negated. */
  readonly protocols?: readonly number[];
}

/** How near hopwise comes: `exact` as the kernel, `simplified` with a row in docs/fidelity.md, `unmodelled` text only. */
export type Fidelity = "exact" | "simplified" | "unmodelled";

/** `hotdrop` kills the packet at once; `unknown` says that hopwise cannot tell. */
export type MatchResult = boolean | "hotdrop" | "unknown";

/** What a target makes of a packet. `unknown` goes on after telling that what follows is not certain; `taken` ends it here. */
export type TargetResult =
  | Verdict
  | { readonly kind: "continue" }
  | { readonly kind: "unknown" }
  | { readonly kind: "taken"; readonly by: string };

export const CONTINUE: TargetResult = { kind: "continue" };

interface Definition<P> {
  readonly name: string;
  /** The families it exists in; both when absent. */
  readonly family?: RuleFamily;
  /** The kernel source whose decisions it mirrors: `net/netfilter/xt_mark.c:mark_mt()`. */
  readonly mirrors: string;
  readonly fidelity: Fidelity;
  /** Bodies that print back as they are. A word before `|` is the rest of the rule they need: `-p tcp|--dport 22`. */
  readonly examples: readonly string[];
  readonly options: readonly OptionSpec<unknown>[];
  readonly only?: Placement;
  /** Named by the tool but absent from the recording kernel. */
  readonly missingInKernel?: boolean;
  /** What must hold before the generic checks of mandatory and exclusive options. Mirrors x6_fcheck. */
  check?(args: OptionArgs, context: ParseContext): void;
  parse(args: OptionArgs, context: ParseContext): P;
  format(params: P, variant: Variant): string;
  /** Why the kernel would not take it, beyond `only`. */
  refuses?(params: P, context: KernelContext): KernelRefusal | undefined;
  /** Whether a rule with it makes the namespace track connections. */
  readonly tracks?: boolean | ((params: P) => boolean);
  /** Whether a rule with it makes the namespace put packets together, tracked or not. */
  readonly defragments?: boolean;
  /** Whether a rule with it shakes hands for servers, so that the namespace watches the connections that follow. */
  readonly proxies?: boolean;
}

/** A match module: its text, its parameters and its decision in one place. `M` is what one rule remembers between packets. */
export interface MatchDefinition<P, M> extends Definition<P> {
  readonly remember?: (params: P) => M;
  matches?(params: P, skb: SkBuff, state: HookState, memory: M): MatchResult;
  /** How it failed, called right after `matches` said no while someone listens: `packet has dport 443`. */
  why?(params: P, skb: SkBuff, state: HookState, memory: M): string;
  /** It decides by packet and hook alone and neither remembers nor changes anything, so a packet that fails a later test need not see it. */
  readonly isPure?: true;
  /** The destination ports that it allows a packet with a whole TCP or UDP header; undefined when it does not ask. */
  readonly destinationPorts?: (params: P) => readonly Range[] | undefined;
  /** The nft variant prints plain port tests of one rule together. */
  readonly merge?: (first: P, second: P) => P | undefined;
  /** The nft variant loses this test altogether. */
  readonly vanishesInNft?: (params: P) => boolean;
  /** The nft variant refuses it before the kernel sees it. */
  readonly nftText?: (params: P, protocol: ProtocolTest | undefined) => string | undefined;
}

/** A target module. */
export interface TargetDefinition<P, M> extends Definition<P> {
  readonly remember?: (params: P) => M;
  apply?(params: P, skb: SkBuff, state: HookState, memory: M): TargetResult;
  /** What it has written down about each packet. */
  readonly log?: (params: P) => LogRequest;
  /** What the nft variant keeps of it. */
  readonly inNft?: (params: P) => P;
}

/** What is known of a module without its parameters. */
export interface ExtensionInfo {
  readonly name: string;
  readonly family: RuleFamily | undefined;
  readonly mirrors: string;
  readonly fidelity: Fidelity;
  readonly examples: readonly string[];
  readonly options: readonly OptionSpec<unknown>[];
  /** The options by each of their names. */
  readonly byName: ReadonlyMap<string, OptionSpec<unknown>>;
  readonly missingInKernel: boolean;
}

interface Part {
  readonly extension: ExtensionInfo;
  /** The options as save prints them, without `-m NAME` or `-j NAME`; empty when there are none. */
  readonly text: string;
  readonly tracks: boolean;
  readonly defragments: boolean;
  readonly proxies: boolean;
  refuses(context: KernelContext): KernelRefusal | undefined;
}

/** A match with its parameters, in a rule. */
export interface Match extends Part {
  matches(skb: SkBuff, state: HookState): MatchResult;
  why(skb: SkBuff, state: HookState): string;
  /** The same with nothing remembered. */
  fresh(): Match;
  readonly isPure: boolean;
  readonly destinationPorts: readonly Range[] | undefined;
  readonly vanishesInNft: boolean;
  merge(second: Match): Match | undefined;
  nftText(protocol: ProtocolTest | undefined): string | undefined;
}

/** A target with its parameters, in a rule. */
export interface Target extends Part {
  apply(skb: SkBuff, state: HookState): TargetResult;
  readonly log: LogRequest | undefined;
  fresh(): Target;
}

export interface MatchExtension extends ExtensionInfo {
  /** Takes the options of one `-m`, checks what holds among them, and gives the match. */
  build(args: OptionArgs, context: ParseContext): Match;
}

export interface TargetExtension extends ExtensionInfo {
  build(args: OptionArgs, context: ParseContext): Target;
}

export function defineMatch<P, M = undefined>(definition: MatchDefinition<P, M>): MatchExtension {
  const extension: MatchExtension = {
    ...infoOf(definition),
    build(args, context) {
      checkAll(definition, args, context);
      return new BoundMatch(kinds[context.variant], definition.parse(args, context));
    },
  };
  const kinds = kindsOf(definition, extension);
  return extension;
}

export function defineTarget<P, M = undefined>(
  definition: TargetDefinition<P, M>,
): TargetExtension {
  const extension: TargetExtension = {
    ...infoOf(definition),
    build(args, context) {
      checkAll(definition, args, context);
      const given = definition.parse(args, context);
      const params = context.variant === "nft" ? (definition.inNft?.(given) ?? given) : given;
      return new BoundTarget(kinds[context.variant], params);
    },
  };
  const kinds = kindsOf(definition, extension);
  return extension;
}

/** What all matches or targets of a module share: a big ruleset has hundreds of thousands of them. */
interface Kind<D> {
  readonly definition: D;
  readonly extension: ExtensionInfo;
  readonly variant: Variant;
}

function kindsOf<D>(definition: D, extension: ExtensionInfo): Readonly<Record<Variant, Kind<D>>> {
  return {
    nft: { definition, extension, variant: "nft" },
    legacy: { definition, extension, variant: "legacy" },
  };
}

/** What matches and targets have in common once they have their parameters. */
class Bound<P, M, D extends Definition<P> & { readonly remember?: (params: P) => M }> {
  protected readonly kind: Kind<D>;
  protected readonly params: P;
  protected readonly memory: M;
  #text: string | undefined;

  constructor(kind: Kind<D>, params: P) {
    this.kind = kind;
    this.params = params;
    // Without `remember` M is undefined, its default.
    this.memory = kind.definition.remember?.(params) as M;
  }

  get extension(): ExtensionInfo {
    return this.kind.extension;
  }

  protected get definition(): D {
    return this.kind.definition;
  }

  get text(): string {
    this.#text ??= this.definition.format(this.params, this.kind.variant);
    return this.#text;
  }

  get tracks(): boolean {
    const { tracks } = this.definition;
    return typeof tracks === "function" ? tracks(this.params) : (tracks ?? false);
  }

  get defragments(): boolean {
    return this.definition.defragments ?? false;
  }

  get proxies(): boolean {
    return this.definition.proxies ?? false;
  }

  refuses(context: KernelContext): KernelRefusal | undefined {
    return refusalOf(this.definition, this.params, context);
  }
}

const NO_PARTS: readonly never[] = [];

class BoundMatch<P, M> extends Bound<P, M, MatchDefinition<P, M>> implements Match {
  /** The tests that this one is printed for, when there are several. */
  #parts: readonly BoundMatch<P, M>[] = NO_PARTS;

  matches(skb: SkBuff, state: HookState): MatchResult {
    for (const part of this.#parts) {
      const result = part.matches(skb, state);
      if (result !== true) return result;
    }
    if (this.#parts.length > 0) return true;
    return this.definition.matches?.(this.params, skb, state, this.memory) ?? "unknown";
  }

  why(skb: SkBuff, state: HookState): string {
    const failed = this.#parts.find((part) => part.matches(skb, state) !== true);
    if (failed !== undefined) return failed.why(skb, state);
    return this.definition.why?.(this.params, skb, state, this.memory) ?? "";
  }

  fresh(): Match {
    return this.definition.remember === undefined ? this : this.#with(this.params);
  }

  #with(params: P): BoundMatch<P, M> {
    return new BoundMatch(this.kind, params);
  }

  get isPure(): boolean {
    return this.definition.isPure ?? false;
  }

  get destinationPorts(): readonly Range[] | undefined {
    for (const part of this.#parts)
      if (part.destinationPorts !== undefined) return part.destinationPorts;
    return this.#parts.length > 0 ? undefined : this.definition.destinationPorts?.(this.params);
  }

  get vanishesInNft(): boolean {
    return this.definition.vanishesInNft?.(this.params) ?? false;
  }

  nftText(protocol: ProtocolTest | undefined): string | undefined {
    return this.definition.nftText?.(this.params, protocol);
  }

  merge(second: Match): Match | undefined {
    if (
      this.definition.merge === undefined ||
      second.extension !== this.extension ||
      !(second instanceof BoundMatch)
    )
      return undefined;
    // Matches of one extension have parameters of one type.
    const merged = this.definition.merge(this.params, second.params as P);
    if (merged === undefined) return undefined;
    const match = this.#with(merged);
    // They are printed as one, but the packet meets both.
    match.#parts = [...this.#own(), ...second.#own()];
    return match;
  }

  #own(): readonly BoundMatch<P, M>[] {
    return this.#parts.length > 0 ? this.#parts : [this];
  }
}

class BoundTarget<P, M> extends Bound<P, M, TargetDefinition<P, M>> implements Target {
  apply(skb: SkBuff, state: HookState): TargetResult {
    return this.definition.apply?.(this.params, skb, state, this.memory) ?? { kind: "unknown" };
  }

  get log(): LogRequest | undefined {
    return this.definition.log?.(this.params);
  }

  fresh(): Target {
    return this.definition.remember === undefined ? this : new BoundTarget(this.kind, this.params);
  }
}

function infoOf<P>(definition: Definition<P>): ExtensionInfo {
  const { name, mirrors, fidelity, examples, options, family } = definition;
  const byName = new Map(
    options.flatMap((spec) => spec.names.map((known) => [known, spec] as const)),
  );
  return {
    name,
    family,
    mirrors,
    fidelity,
    examples,
    options,
    byName,
    missingInKernel: definition.missingInKernel ?? false,
  };
}

function checkAll<P>(definition: Definition<P>, args: OptionArgs, context: ParseContext): void {
  definition.check?.(args, context);
  checkOptions(definition.name, definition.options, args);
}

/** Mirrors net/netfilter/x_tables.c:xt_check_match(). */
function refusalOf<P>(
  definition: Definition<P>,
  params: P,
  context: KernelContext,
): KernelRefusal | undefined {
  const { tables, hooks, protocols } = definition.only ?? {};
  if (definition.missingInKernel === true) return "No such file or directory";
  if (tables !== undefined && !tables.includes(context.table)) return "Invalid argument";
  if (hooks !== undefined && [...context.hooks].some((hook) => !hooks.includes(hook)))
    return "Invalid argument";
  if (protocols !== undefined) {
    const { protocol } = context;
    if (protocol === undefined || protocol.invert || !protocols.includes(protocol.number))
      return "Invalid argument";
  }
  return definition.refuses?.(params, context);
}
