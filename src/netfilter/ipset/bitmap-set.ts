import { ipv4, type Mac, maskIpv4 } from "../../wire/ip.js";
import type { Micros } from "../../sim/time.js";
import { type Element, NO_ELEMENT } from "./element.js";
import {
  commentSize,
  elementSize,
  type ExtensionKinds,
  type Extensions,
  isExpired,
  jiffiesOf,
  JIFFIES_PER_SECOND,
  type LookupOptions,
  matchExtensions,
  newExtensions,
  roundUp,
  writeExtensions,
  type GivenExtensions,
} from "./extensions.js";
import type { SetError } from "./failure.js";
import { lastOf } from "./ranges.js";
import type {
  ElementRequest,
  Found,
  Listed,
  Operation,
  PacketAdd,
  RequestOptions,
  SetStore,
} from "./store.js";
import type { SetType } from "./types.js";

/** The parameters of a bitmap: addresses or ports from `first` to `last`, in steps of 2^(32 - netmask) addresses. */
export interface BitmapParameters {
  readonly type: SetType;
  readonly first: number;
  readonly last: number;
  readonly netmask: number;
  readonly kinds: ExtensionKinds;
}

/** The most elements of a bitmap. Mirrors IPSET_BITMAP_MAX_RANGE. */
export const BITMAP_MAX = 65_536;

interface Slot {
  mac: Mac | undefined;
  readonly extensions: Extensions;
}

/** A set of a bitmap type. Mirrors net/netfilter/ipset/ip_set_bitmap_gen.h. */
export class BitmapSet implements SetStore {
  readonly #parameters: BitmapParameters;
  readonly #slots = new Map<number, Slot>();
  /** Counters of elements that are gone: the kernel leaves them in place for the next one. */
  readonly #left = new Map<number, Pick<Extensions, "packets" | "bytes">>();
  readonly #hasMac: boolean;
  readonly #isPort: boolean;
  #comments = 0;
  #collectAt: number;

  constructor(parameters: BitmapParameters, now: Micros) {
    this.#parameters = parameters;
    this.#hasMac = parameters.type.dimensions.includes("mac");
    this.#isPort = parameters.type.dimensions[0] === "port";
    this.#collectAt = jiffiesOf(now) + JIFFIES_PER_SECOND * collectEvery(parameters.kinds);
  }

  count(now: Micros): number {
    this.#catchUp(now);
    return this.#slots.size;
  }

  bytes(): number {
    const { kinds } = this.#parameters;
    const elements = elementsOf(this.#parameters);
    const base = this.#isPort ? 72 : this.#hasMac ? 80 : 88;
    const each = elementSize(this.#hasMac ? 7 : 0, this.#hasMac ? 8 : 1, kinds);
    return base + roundUp(elements, 64) / 8 + elements * each + this.#comments;
  }

  *entries(now: Micros): Generator<Listed> {
    this.#catchUp(now);
    const jiffies = jiffiesOf(now);
    for (const id of [...this.#slots.keys()].toSorted((a, b) => a - b)) {
      const slot = this.#slots.get(id);
      if (slot === undefined || isExpired(slot.extensions, jiffies)) continue;
      yield { element: this.#element(id, slot), nomatch: false, extensions: slot.extensions };
    }
  }

  #element(id: number, { mac }: Slot): Element {
    const value = this.#parameters.first + id * stepOf(this.#parameters);
    return this.#isPort ? { ...NO_ELEMENT, port: value } : { ...NO_ELEMENT, ip: ipv4(value), mac };
  }

  flush(): void {
    for (const [id, { extensions }] of this.#slots) this.#drop(id, extensions);
  }

  request(
    operation: Operation,
    request: ElementRequest,
    options: RequestOptions,
  ): SetError | boolean | undefined {
    this.#catchUp(options.now);
    const [from, to] = this.#range(request);
    const { first, last, netmask } = this.#parameters;
    if (request.hasCidr && request.element.cidr === 0) return "INVALID_CIDR";
    if (from < first || from > last || to > last)
      return operation === "test" ? false : "OUT_OF_RANGE";
    const { given } = request;
    const { mac } = request.element;
    if (operation === "test")
      return this.#find(this.#id(from), mac, undefined, options.now) !== undefined;
    for (let value = from; value <= to; value += netmask === 32 ? 1 : stepOf(this.#parameters)) {
      const id = this.#id(value);
      if (operation === "del") {
        if (!this.#remove(id, options.now) && !options.exist) return "NOT_ADDED";
      } else if (
        !this.#add(id, { mac, given, exist: options.exist, now: options.now }) &&
        !options.exist
      ) {
        return "EXIST";
      }
    }
    return undefined;
  }

  /** The first and last value of a request, host bits of the netmask cleared. */
  #range({ element, ipTo, hasCidr, portTo }: ElementRequest): readonly [number, number] {
    const order = (a: number, b: number): readonly [number, number] => (a <= b ? [a, b] : [b, a]);
    if (this.#isPort) return order(element.port, portTo ?? element.port);
    const ip = ipv4(Number(element.ip));
    if (hasCidr) return [maskIpv4(ip, element.cidr), lastOf(ip, element.cidr)];
    const [from, to] = order(ip, ipTo === undefined ? ip : Number(ipTo));
    return [maskIpv4(ipv4(from), this.#parameters.netmask), to];
  }

  #id(value: number): number {
    return Math.floor((value - this.#parameters.first) / stepOf(this.#parameters));
  }

  /** A slot that has the MAC, or waits for one. */
  #find(
    id: number,
    mac: Mac | undefined,
    options: LookupOptions | undefined,
    now: Micros,
  ): Slot | undefined {
    const slot = this.#slots.get(id);
    if (slot === undefined) return undefined;
    if (mac !== undefined && slot.mac !== undefined && slot.mac !== mac) return undefined;
    return matchExtensions(slot.extensions, this.#parameters.kinds, options, jiffiesOf(now))
      ? slot
      : undefined;
  }

  /** Mirrors mtype_add(); an address without MAC is completed by one. */
  #add(
    id: number,
    wanted: {
      readonly mac: Mac | undefined;
      readonly given: GivenExtensions;
      readonly exist: boolean;
      readonly now: Micros;
    },
  ): boolean {
    const { mac, given, exist, now } = wanted;
    const known = this.#slots.get(id);
    const alive = known !== undefined && !isExpired(known.extensions, jiffiesOf(now));
    const completes = this.#hasMac && alive && known.mac === undefined && mac !== undefined;
    if (alive && !completes && !exist) return false;
    const slot = known ?? { mac, extensions: { ...newExtensions(), ...this.#left.get(id) } };
    this.#comments -= commentSize(slot.extensions);
    if (!alive || mac !== undefined) slot.mac = mac;
    this.#write(slot, given, now);
    this.#comments += commentSize(slot.extensions);
    this.#slots.set(id, slot);
    return true;
  }

  /** The time of an address without MAC does not run. Mirrors bitmap_ipmac_add_timeout(). */
  #write({ mac, extensions }: Slot, given: GivenExtensions, now: Micros): void {
    const { kinds } = this.#parameters;
    const timeout = given.timeout ?? extensions.paused ?? kinds.timeout;
    writeExtensions(extensions, { ...given, timeout }, kinds, now);
    extensions.paused = undefined;
    if (!this.#hasMac || mac !== undefined || kinds.timeout === undefined) return;
    extensions.expires = undefined;
    extensions.paused = timeout;
  }

  #remove(id: number, now: Micros): boolean {
    const slot = this.#slots.get(id);
    if (slot === undefined) return false;
    const expired = isExpired(slot.extensions, jiffiesOf(now));
    this.#drop(id, slot.extensions);
    return !expired;
  }

  #drop(id: number, extensions: Extensions): void {
    const { packets, bytes } = extensions;
    this.#comments -= commentSize(extensions);
    this.#slots.delete(id);
    if (this.#parameters.kinds.counters) this.#left.set(id, { packets, bytes });
  }

  #valueOf(element: Element): number | undefined {
    const value = this.#isPort ? element.port : Number(element.ip);
    const { first, last } = this.#parameters;
    if (value < first || value > last) return undefined;
    // A bitmap of ports looks at TCP and UDP alone.
    return this.#isPort && element.proto !== 6 && element.proto !== 17 ? undefined : value;
  }

  lookup(element: Element, options: LookupOptions, now: Micros): Found {
    this.#catchUp(now);
    const value = this.#valueOf(element);
    if (value === undefined) return "no";
    const id = this.#id(value);
    const slot = this.#find(id, element.mac, options, now);
    if (slot === undefined) return "no";
    // The kernel answers -EAGAIN and adds the packet's MAC.
    if (this.#hasMac && slot.mac === undefined && element.mac !== undefined)
      this.#add(id, { mac: element.mac, given: {}, exist: false, now });
    return "yes";
  }

  addPacket(element: Element, { exist, given }: PacketAdd, now: Micros): boolean {
    this.#catchUp(now);
    const value = this.#valueOf(element);
    return (
      value !== undefined && this.#add(this.#id(value), { mac: element.mac, given, exist, now })
    );
  }

  deletePacket(element: Element, now: Micros): boolean {
    this.#catchUp(now);
    const value = this.#valueOf(element);
    return value !== undefined && this.#remove(this.#id(value), now);
  }

  /** Mirrors mtype_gc(): what was expired when the collector last came is gone. */
  #catchUp(now: Micros): void {
    const { kinds } = this.#parameters;
    if (kinds.timeout === undefined || jiffiesOf(now) < this.#collectAt) return;
    const every = JIFFIES_PER_SECOND * collectEvery(kinds);
    const runs = Math.floor((jiffiesOf(now) - this.#collectAt) / every);
    const last = this.#collectAt + runs * every;
    for (const [id, { extensions }] of this.#slots) {
      if (!isExpired(extensions, last)) continue;
      this.#drop(id, extensions);
    }
    this.#collectAt = last + every;
  }
}

function stepOf({ netmask }: BitmapParameters): number {
  return 2 ** (32 - netmask);
}

/** How many elements there is room for. */
export function elementsOf(
  parameters: Pick<BitmapParameters, "first" | "last" | "netmask">,
): number {
  return Math.floor((parameters.last - parameters.first) / 2 ** (32 - parameters.netmask)) + 1;
}

function collectEvery({ timeout = 0 }: ExtensionKinds): number {
  return timeout < 3 ? 1 : Math.min(Math.floor(timeout / 3), 180);
}
