import { type NetworkNamespace, perNamespace } from "../../core/namespace.js";
import { type CreateRequest, type IpSet, makeSet } from "./create.js";
import type { SetError } from "./failure.js";
import type { ElementRequest, Operation, RequestOptions } from "./store.js";
import { featuresOf } from "./types.js";

/** A set with the name it goes by now. */
export interface NamedSet {
  readonly name: string;
  readonly set: IpSet;
}

/** The sets of a namespace. Rules and lists hold a slot, so that what is swapped changes under them. */
export class IpSets {
  readonly #ns: NetworkNamespace;
  readonly #slots: (NamedSet | undefined)[] = [];
  readonly #byName = new Map<string, number>();
  /** Uses by rules, by who counts them and set name. */
  readonly #rules = new Map<string, ReadonlyMap<string, number>>();

  constructor(ns: NetworkNamespace) {
    this.#ns = ns;
  }

  get(name: string): IpSet | undefined {
    const slot = this.#byName.get(name);
    return slot === undefined ? undefined : this.#slots[slot]?.set;
  }

  slotOf(name: string): number | undefined {
    return this.#byName.get(name);
  }

  at(slot: number): NamedSet | undefined {
    return this.#slots[slot];
  }

  names(): Iterable<string> {
    return this.#byName.keys();
  }

  /** In the order they are dumped: by slot, lists after all others. Mirrors ip_set_dump_do(). */
  all(): readonly NamedSet[] {
    const present = this.#slots.filter((slot) => slot !== undefined);
    const isList = ({ set }: NamedSet): boolean => set.type.method === "list";
    return [...present.filter((named) => !isList(named)), ...present.filter(isList)];
  }

  /** Rules of one owner (`ipv4 nft`) use these sets so many times. */
  setRuleUses(owner: string, uses: ReadonlyMap<string, number>): void {
    this.#rules.set(owner, uses);
  }

  /** How often lists and rules use a set. */
  references(name: string): number {
    let count = this.get(name)?.references ?? 0;
    for (const uses of this.#rules.values()) count += uses.get(name) ?? 0;
    return count;
  }

  create(request: CreateRequest, exist: boolean): SetError | undefined {
    const known = this.get(request.name);
    const made = makeSet(request, {
      now: this.#ns.sim.queue.now,
      random: this.#ns.sim.random,
      directory: {
        slotOf: (name) => this.#byName.get(name),
        nameOf: (slot) => this.#slots[slot]?.name ?? "",
        isList: (slot) => this.#slots[slot]?.set.type.method === "list",
        reference: (slot, change) => {
          const named = this.#slots[slot];
          if (named !== undefined) named.set.references += change;
        },
      },
    });
    if (typeof made === "string") return made;
    if (known !== undefined)
      return exist && known.signature === made.signature ? undefined : "SET_EXISTS";
    const free = this.#slots.findIndex((slot) => slot === undefined);
    this.#put(free < 0 ? this.#slots.length : free, { name: request.name, set: made });
    return undefined;
  }

  #put(slot: number, named: NamedSet): void {
    this.#slots[slot] = named;
    this.#byName.set(named.name, slot);
  }

  destroy(name: string): SetError | undefined {
    const slot = this.#byName.get(name);
    if (slot === undefined) return "NO_SET";
    if (this.references(name) > 0) return "BUSY";
    const set = this.#slots[slot]?.set;
    if (set?.type.method === "list") set.store.flush();
    this.#slots[slot] = undefined;
    this.#byName.delete(name);
    return undefined;
  }

  /** All or none. */
  destroyAll(): SetError | undefined {
    const all = this.all();
    if (all.some(({ name }) => this.references(name) > 0)) return "BUSY";
    for (const { name } of all) this.destroy(name);
    return undefined;
  }

  /** One set, or all of them. */
  flush(name: string | undefined): SetError | undefined {
    const named = name === undefined ? this.all().map(({ set }) => set) : [this.get(name)];
    for (const set of named) {
      if (set === undefined) return "NO_SET";
      set.store.flush();
    }
    return undefined;
  }

  rename(from: string, to: string): SetError | undefined {
    const slot = this.#byName.get(from);
    const named = slot === undefined ? undefined : this.#slots[slot];
    if (slot === undefined || named === undefined) return "NO_SET";
    if (this.references(from) > 0) return "REFERENCED";
    if (this.#byName.has(to)) return "NEW_NAME_EXISTS";
    this.#byName.delete(from);
    this.#put(slot, { name: to, set: named.set });
    return undefined;
  }

  /** Exchanges what two names hold; who uses them stays with the name. Mirrors ip_set_swap(). */
  swap(one: string, other: string): SetError | undefined {
    const [a, b] = [this.get(one), this.get(other)];
    const [slotA, slotB] = [this.#byName.get(one), this.#byName.get(other)];
    if (a === undefined || slotA === undefined) return "NO_SET";
    if (b === undefined || slotB === undefined) return "NO_SECOND_SET";
    if (featuresOf(a.type) !== featuresOf(b.type) || a.family !== b.family) return "TYPE_MISMATCH";
    [a.references, b.references] = [b.references, a.references];
    this.#slots[slotA] = { name: one, set: b };
    this.#slots[slotB] = { name: other, set: a };
    return undefined;
  }

  /** An element is added, deleted or asked for. Mirrors ip_set_uadd(), ip_set_udel() and ip_set_utest(). */
  request(
    name: string,
    operation: Operation,
    request: ElementRequest,
    options: RequestOptions,
  ): SetError | boolean | undefined {
    const set = this.get(name);
    if (set === undefined) return "NO_SET";
    if (operation === "add") {
      const missing = missingExtension(set, request);
      if (missing !== undefined) return missing;
    }
    const answer = set.store.request(operation, request, options);
    return operation === "test" ? answer === true : answer;
  }
}

/** Mirrors ip_set_get_extensions(). */
function missingExtension({ kinds }: IpSet, { given }: ElementRequest): SetError | undefined {
  if (given.timeout !== undefined && kinds.timeout === undefined) return "NO_TIMEOUT";
  if ((given.packets ?? given.bytes) !== undefined && !kinds.counters) return "NO_COUNTERS";
  if (given.comment !== undefined && !kinds.comment) return "NO_COMMENT";
  return given.skbinfo !== undefined && !kinds.skbinfo ? "NO_SKBINFO" : undefined;
}

/** The sets of a namespace, none at first. */
export const ipsets: (ns: NetworkNamespace) => IpSets = perNamespace((ns) => new IpSets(ns));
