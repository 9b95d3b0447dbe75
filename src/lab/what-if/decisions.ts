import type { ChainRule } from "../../core/recording.js";
import type { Simulation } from "../../core/simulation.js";
import type { RuleEvent } from "../../core/trace.js";
import { chainRules } from "../chain-rules.js";

/** One rule that decided by chance, and how. */
export interface Decision {
  readonly probability: number;
  readonly matched: boolean;
}

/** Decides in place of chance while a request is sent. */
export interface Decider {
  /** What was decided since `begin`, each rule once. */
  readonly made: readonly Decision[];
  /** Called when the world is built and listened to, before the first packet; once for each time it is built. */
  begin(sim: Simulation): void;
}

/**
 * Takes the first branch that is prescribed and from there on matches wherever a rule may. A rule decides once: later
 * packets of the request go the same way.
 */
export class PrescribedDecider implements Decider {
  made: Decision[] = [];
  readonly #prescribed: readonly boolean[];

  constructor(prescribed: readonly boolean[]) {
    this.#prescribed = prescribed;
  }

  begin(sim: Simulation): void {
    this.made = [];
    const known = new Map<object, boolean>();
    sim.decide = (rule, probability) => {
      const before = known.get(rule);
      if (before !== undefined) return before;
      const matched = this.#prescribed[this.made.length] ?? probability > 0;
      known.set(rule, matched);
      this.made.push({ probability, matched });
      return matched;
    };
  }

  /** The branch to take next; undefined when all were taken. A branch that chance never takes is passed over. */
  next(): readonly boolean[] | undefined {
    const last = this.made.findLastIndex(({ matched, probability }) => matched && probability < 1);
    if (last < 0) return undefined;
    return [...this.made.slice(0, last).map(({ matched }) => matched), false];
  }
}

/** Where a rule decides by chance, goes towards the endpoint with this address. */
export class TowardsAddress implements Decider {
  made: Decision[] = [];
  readonly #addresses: readonly string[];

  constructor(addresses: readonly string[]) {
    this.#addresses = addresses;
  }

  /** Which rule is asked follows from the trace: it is the one behind the last that was told of. */
  begin(sim: Simulation): void {
    this.made = [];
    const { trace } = sim;
    const walk = new Walk(sim);
    sim.trace = (event) => {
      if (event.kind === "rule") walk.follow(event);
      trace?.(event);
    };
    const known = new Map<object, boolean>();
    sim.decide = (rule, probability) => {
      const before = known.get(rule);
      if (before !== undefined) return before;
      const { asked, rest } = walk.ahead();
      const leads = (one: ChainRule): boolean => walk.leadsTo(one, this.#addresses, 0);
      const here = asked !== undefined && leads(asked);
      // A rule that has nothing to do with the endpoint is left to chance.
      if (!here && !rest.some(leads)) return undefined;
      known.set(rule, here);
      this.made.push({ probability, matched: here });
      return here;
    };
  }
}

/** Chains that lead to an endpoint lie in one another no deeper than this. */
const DEEPEST = 4;

/** Where a packet is in a table: the chains it is inside of, each with the rule that comes next. */
class Walk {
  readonly #sim: Simulation;
  #ns = "";
  #table = "";
  #engine = "iptables";
  #hook = "";
  #stack: { readonly chain: string; next: number }[] = [];

  constructor(sim: Simulation) {
    this.#sim = sim;
  }

  follow(event: RuleEvent): void {
    const { ns, table, hook, chain, number, matched, effect, outcome = "" } = event;
    this.#engine = event.engine;
    if (ns !== this.#ns || table !== this.#table || hook !== this.#hook) this.#stack = [];
    this.#ns = ns;
    this.#table = table;
    this.#hook = hook;
    while (this.#stack.length > 0 && this.#stack.at(-1)?.chain !== chain) this.#stack.pop();
    const frame = this.#stack.at(-1);
    if (frame === undefined) this.#stack = [{ chain, next: number + 1 }];
    else frame.next = number + 1;
    if (!matched) return;
    if (effect === "goto" || effect === "return") this.#stack.pop();
    if (effect === "goto" || effect === "jump") this.#stack.push({ chain: outcome, next: 1 });
  }

  /** The rule that is looked at now, and those of its chain that come after it. */
  ahead(): { readonly asked: ChainRule | undefined; readonly rest: readonly ChainRule[] } {
    for (const { chain, next } of this.#stack.toReversed()) {
      const rules = this.#rules(chain);
      if (next <= rules.length) return { asked: rules[next - 1], rest: rules.slice(next) };
    }
    return { asked: undefined, rest: [] };
  }

  leadsTo({ text }: ChainRule, addresses: readonly string[], depth: number): boolean {
    const to = /--to-destination (\S+)/.exec(text)?.[1];
    if (to !== undefined)
      return addresses.includes(to.replace(/:\d+$/, "").replace(/^\[|\]$/g, ""));
    const chain = / -[jg] (\S+)/.exec(text)?.[1] ?? "";
    return (
      depth < DEEPEST && this.#rules(chain).some((rule) => this.leadsTo(rule, addresses, depth + 1))
    );
  }

  #rules(chain: string): readonly ChainRule[] {
    return chainRules(this.#sim, this.#ns, this.#table, chain, this.#engine);
  }
}

/** The chance that all of these fall as they did. */
export function chanceOf(made: readonly Decision[]): number {
  return made.reduce(
    (product, { probability, matched }) => product * (matched ? probability : 1 - probability),
    1,
  );
}
