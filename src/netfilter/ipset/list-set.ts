import type { Micros } from "../../sim/time.js";
import { NO_ELEMENT } from "./element.js";
import {
  commentSize,
  elementSize,
  type ExtensionKinds,
  type Extensions,
  isExpired,
  jiffiesOf,
  type LookupOptions,
  matchExtensions,
  newExtensions,
  writeExtensions,
} from "./extensions.js";
import type { SetError } from "./failure.js";
import type { ElementRequest, Listed, Operation, RequestOptions } from "./store.js";

/** What a list needs of the namespace's other sets. */
export interface SetDirectory {
  /** The slot of a set; undefined when there is none. */
  slotOf(name: string): number | undefined;
  nameOf(slot: number): string;
  isList(slot: number): boolean;
  /** A list begins or ends to use a set. */
  reference(slot: number, change: 1 | -1): void;
}

interface Member {
  readonly slot: number;
  readonly extensions: Extensions;
}

/** A set of sets, in order. Mirrors net/netfilter/ipset/ip_set_list_set.c. */
export class ListSet {
  readonly #kinds: ExtensionKinds;
  readonly #directory: SetDirectory;
  #members: Member[] = [];

  constructor(kinds: ExtensionKinds, directory: SetDirectory) {
    this.#kinds = kinds;
    this.#directory = directory;
  }

  count(): number {
    return this.#members.length;
  }

  bytes(): number {
    const each = elementSize(48, 8, this.#kinds);
    return this.#members.reduce((sum, { extensions }) => sum + each + commentSize(extensions), 80);
  }

  *entries(now: Micros): Generator<Listed> {
    for (const { slot, extensions } of this.members(now))
      yield {
        element: { ...NO_ELEMENT, iface: this.#directory.nameOf(slot) },
        nomatch: false,
        extensions,
      };
  }

  /** Members that are not expired, in order. */
  *members(now: Micros): Generator<Member> {
    const jiffies = jiffiesOf(now);
    for (const member of this.#members) if (!isExpired(member.extensions, jiffies)) yield member;
  }

  /** The first member that a packet is in; its own counters and skbinfo then count. Mirrors list_set_ktest(). */
  find(isIn: (slot: number) => boolean, options: LookupOptions, now: Micros): boolean {
    const jiffies = jiffiesOf(now);
    for (const { slot, extensions } of this.members(now)) {
      if (isIn(slot) && matchExtensions(extensions, this.#kinds, options, jiffies)) return true;
    }
    return false;
  }

  flush(): void {
    for (const { slot } of this.#members) this.#directory.reference(slot, -1);
    this.#members = [];
  }

  /** Mirrors list_set_uadt(). */
  request(
    operation: Operation,
    request: ElementRequest,
    options: RequestOptions,
  ): SetError | boolean | undefined {
    this.#dropExpired(options.now);
    const slot = this.#directory.slotOf(request.element.iface);
    if (slot === undefined) return "NO_MEMBER";
    if (this.#directory.isList(slot)) return "LOOP";
    const { reference } = request;
    const other = reference === undefined ? undefined : this.#directory.slotOf(reference.name);
    if (reference !== undefined && other === undefined) return "NO_REFERENCE";
    const at = this.#members.findIndex((member) => member.slot === slot);
    const place =
      reference === undefined || other === undefined
        ? undefined
        : { slot: other, where: reference.where };
    if (operation === "test") return at >= 0 && (place === undefined || this.#stands(at, place));
    return operation === "del"
      ? this.#delete(at, place, options)
      : this.#add(at, { slot, extensions: newExtensions() }, place, request, options);
  }

  #stands(at: number, { slot, where }: Place): boolean {
    return this.#members[where === "before" ? at + 1 : at - 1]?.slot === slot;
  }

  #delete(at: number, place: Place | undefined, { exist }: RequestOptions): SetError | undefined {
    const member = this.#members[at];
    if (member === undefined)
      return place === undefined ? (exist ? undefined : "NOT_ADDED") : "REFERENCE_NOT_ADDED";
    if (place !== undefined && !this.#stands(at, place)) return "REFERENCE_NOT_ADDED";
    this.#members.splice(at, 1);
    this.#directory.reference(member.slot, -1);
    return undefined;
  }

  #add(
    at: number,
    fresh: Member,
    place: Place | undefined,
    { given }: ElementRequest,
    { exist, now }: RequestOptions,
  ): SetError | undefined {
    const beside =
      place === undefined ? -1 : this.#members.findIndex((member) => member.slot === place.slot);
    if (place !== undefined && beside < 0) return "REFERENCE_NOT_ADDED";
    const known = this.#members[at];
    if (known !== undefined) {
      if (!exist) return "EXIST";
      writeExtensions(known.extensions, given, this.#kinds, now);
      return undefined;
    }
    writeExtensions(fresh.extensions, given, this.#kinds, now);
    const index =
      place === undefined ? this.#members.length : place.where === "before" ? beside : beside + 1;
    this.#members.splice(index, 0, fresh);
    this.#directory.reference(fresh.slot, 1);
    return undefined;
  }

  #dropExpired(now: Micros): void {
    const jiffies = jiffiesOf(now);
    for (const { slot, extensions } of this.#members)
      if (isExpired(extensions, jiffies)) this.#directory.reference(slot, -1);
    this.#members = this.#members.filter(({ extensions }) => !isExpired(extensions, jiffies));
  }
}

interface Place {
  readonly slot: number;
  readonly where: "before" | "after";
}
