import type { IpAddress, Ipv4 } from "../../wire/ip.js";
import type { Micros } from "../../sim/time.js";
import type { Element } from "./element.js";
import {
  type ExtensionKinds,
  jiffiesOf,
  type LookupOptions,
  matchExtensions,
} from "./extensions.js";
import type { SetError } from "./failure.js";
import { equalWords, HashTable, type HashEntry, sameRest } from "./hash-table.js";
import { layoutOf } from "./layout.js";
import { hasPorts } from "./ports.js";
import { PrefixLengths } from "./prefix-lengths.js";
import {
  addressesBetween,
  lastOf,
  maskAddress,
  MAX_STEPS,
  netsBetween,
  type Net,
  tooManySteps,
} from "./ranges.js";
import type {
  ElementRequest,
  Found,
  Listed,
  Operation,
  PacketAdd,
  RequestOptions,
  SetStore,
} from "./store.js";
import { hasNets, type SetType } from "./types.js";

/** The parameters of a hash set. */
export interface HashParameters {
  readonly type: SetType;
  readonly wide: boolean;
  readonly kinds: ExtensionKinds;
  readonly hashBits: number;
  readonly maxelem: number;
  readonly bucketSize: number;
  readonly initval: number;
  /** The mask of addresses; all ones without `netmask` and `bitmask`. */
  readonly mask: IpAddress;
  /** The length of `netmask`; that of a host without. */
  readonly netmask: number;
  readonly markmask: number;
}

/** A set of a hash type. Mirrors net/netfilter/ipset/ip_set_hash_*.c. */
export class HashSet implements SetStore {
  readonly #parameters: HashParameters;
  readonly #table: HashTable;
  readonly #words: (element: Element) => readonly number[];
  /** The lengths in use of each dimension that is a net: the first, the last. */
  readonly #lengths: readonly [PrefixLengths, PrefixLengths] = [
    new PrefixLengths(),
    new PrefixLengths(),
  ];
  readonly #nets: readonly [boolean, boolean];
  readonly #multi: boolean;

  constructor(parameters: HashParameters, now: Micros) {
    const { type, wide } = parameters;
    const layout = layoutOf(type, wide);
    this.#parameters = parameters;
    this.#words = layout.words;
    this.#multi = type.name === "hash:net,iface";
    this.#nets = [type.dimensions[0] === "net", type.dimensions.lastIndexOf("net") > 0];
    const onNets = ({ element }: HashEntry, change: 1 | -1): void => {
      if (this.#nets[0]) this.#lengths[0].change(element.cidr, change);
      if (this.#nets[1]) this.#lengths[1].change(element.cidr2, change);
    };
    this.#table = new HashTable({ ...parameters, layout, onNets, multi: this.#multi }, now);
  }

  get hashSize(): number {
    return this.#table.hashSize;
  }

  get bucketSize(): number {
    return this.#table.bucketSize;
  }

  count(now: Micros): number {
    let count = 0;
    for (const _ of this.entries(now)) count++;
    return count;
  }

  bytes(): number {
    return this.#table.bytes;
  }

  entries(now: Micros): Iterable<Listed> {
    this.#table.catchUp(now);
    return this.#table.entries(now);
  }

  flush(): void {
    this.#table.flush();
  }

  request(
    operation: Operation,
    request: ElementRequest,
    options: RequestOptions,
  ): SetError | boolean | undefined {
    this.#table.catchUp(options.now);
    const refusal = this.#refusal(request);
    if (refusal !== undefined) return refusal;
    if (operation === "test") return this.#test(request, options.now);
    for (const element of this.#elements(request)) {
      if (typeof element === "string") return element;
      const failed =
        operation === "add" ? this.#add(element, request, options) : this.#delete(element, options);
      if (failed !== undefined) return failed;
    }
    return undefined;
  }

  /** What a type cannot hold at all. Mirrors the beginning of each *_uadt(). */
  #refusal({ element }: ElementRequest): SetError | undefined {
    const { name, dimensions, net0 } = this.#parameters.type;
    const isNull = Number(this.#masked(element.ip)) === 0;
    if (name === "hash:ip" && isNull) return "NULL_ELEMENT";
    if (name === "hash:ip,port" && isNull) return "EINVAL";
    if (dimensions.includes("mac") && element.mac === 0) return "NULL_ELEMENT";
    if (dimensions.includes("port") && element.proto === 0) return "INVALID_PROTO";
    const noLength =
      (this.#nets[0] && element.cidr === 0) || (this.#nets[1] && element.cidr2 === 0);
    return noLength && !net0 ? "INVALID_CIDR" : undefined;
  }

  #masked(address: IpAddress): IpAddress {
    const { mask } = this.#parameters;
    // The mask has the width of the set's family, as every address in it.
    return typeof address === "number"
      ? (((address & Number(mask)) >>> 0) as Ipv4)
      : ((address & BigInt(mask)) as IpAddress);
  }

  /** Masks what a key keeps of addresses and marks. */
  #key(element: Element, masks = true): Element {
    const { type, markmask } = this.#parameters;
    const first = this.#nets[0] ? maskAddress(element.ip, element.cidr) : element.ip;
    return {
      ...element,
      ip: masks ? this.#masked(first) : first,
      ip2: this.#nets[1] ? maskAddress(element.ip2, element.cidr2) : element.ip2,
      mark: (element.mark & markmask) >>> 0,
      port:
        type.dimensions.includes("port") && !hasPorts(element.proto) && !isIcmp(element.proto)
          ? 0
          : element.port,
    };
  }

  /** Every element of a request, in the kernel's order; an error where the range is none. */
  *#elements(request: ElementRequest): Generator<Element | SetError> {
    const { element, portTo } = request;
    const firsts = this.#firsts(request);
    if (typeof firsts === "string") return yield firsts;
    const seconds = this.#seconds(request);
    if (typeof seconds === "string") return yield seconds;
    // The kernel masks where a range begins, not its steps.
    const ranged = !this.#nets[0] && (request.ipTo !== undefined || request.hasCidr);
    const ports = [element.port, portTo ?? element.port].toSorted((a, b) => a - b);
    let steps = 0;
    for (const first of firsts()) {
      for (let port = ports[0] ?? 0; port <= (ports[1] ?? 0); port++) {
        for (const second of seconds()) {
          if (++steps > MAX_STEPS) throw tooManySteps();
          const nets = {
            ip: first.address,
            cidr: first.cidr,
            ip2: second.address,
            cidr2: second.cidr,
          };
          yield this.#key({ ...element, ...nets, port }, !ranged);
        }
      }
    }
  }

  /** The nets or addresses of the first dimension. */
  #firsts({ element, ipTo, hasCidr }: ElementRequest): SetError | (() => Iterable<Net>) {
    const { ip, cidr } = element;
    const single = (): Iterable<Net> => [{ address: ip, cidr }];
    if (typeof ip !== "number" || (ipTo !== undefined && typeof ipTo !== "number")) return single;
    if (this.#nets[0]) return netsOf(ip, ipTo) ?? single;
    if (hasCidr && cidr === 0) return "INVALID_CIDR";
    const start = this.#masked(ip);
    if (typeof start !== "number" || (ipTo === undefined && !hasCidr)) return single;
    const [from, to] = hasCidr
      ? [maskAddress(start, cidr), lastOf(start, cidr)]
      : ordered(start, ipTo ?? start);
    if (typeof from !== "number") return single;
    if (from === 0 && this.#parameters.type.name === "hash:ip") return "NULL_ELEMENT";
    const isAddress = this.#parameters.type.name === "hash:ip";
    const step = isAddress ? 2 ** (32 - this.#parameters.netmask) : 1;
    return function* (): Generator<Net> {
      for (const address of addressesBetween(from, to, step)) yield { address, cidr: 32 };
    };
  }

  /** Those of the last one. */
  #seconds({ element, ip2To }: ElementRequest): SetError | (() => Iterable<Net>) {
    const { ip2, cidr2 } = element;
    const single = (): Iterable<Net> => [{ address: ip2, cidr: cidr2 }];
    if (
      !this.#nets[1] ||
      typeof ip2 !== "number" ||
      (ip2To !== undefined && typeof ip2To !== "number")
    )
      return single;
    return netsOf(ip2, ip2To) ?? single;
  }

  #add(
    element: Element,
    { given, nomatch }: ElementRequest,
    { exist, now }: RequestOptions,
  ): SetError | undefined {
    const words = this.#words(element);
    const options = { given, nomatch, exist, now };
    for (;;) {
      const result = this.#table.add(element, words, options);
      if (result === "added" || (result === "EXIST" && exist)) return undefined;
      if (result !== "resize") return result;
      this.#table.grow(now);
    }
  }

  #delete(element: Element, { exist, now }: RequestOptions): SetError | undefined {
    return this.#table.delete(element, this.#words(element), now) || exist
      ? undefined
      : "NOT_ADDED";
  }

  /** A host is looked for in all nets, a net as it stands. */
  #test({ element, nomatch }: ElementRequest, now: Micros): boolean {
    const key = this.#key(element);
    const bits = typeof element.ip === "number" ? 32 : 128;
    const isHost = (!this.#nets[0] || key.cidr === bits) && (!this.#nets[1] || key.cidr2 === bits);
    const found =
      hasNets(this.#parameters.type) && isHost
        ? this.#testLengths(key, undefined, now)
        : (this.#probe(key, undefined, now).found ?? "no");
    return found === (nomatch ? "nomatch" : "yes");
  }

  lookup(element: Element, options: LookupOptions, now: Micros): Found {
    this.#table.catchUp(now);
    const key = this.#key(element);
    if (this.#parameters.type.name === "hash:ip" && Number(key.ip) === 0) return "no";
    return hasNets(this.#parameters.type)
      ? this.#testLengths(key, options, now)
      : (this.#probe(key, options, now).found ?? "no");
  }

  /** All lengths in use, longest first; the first element that is there decides. Mirrors mtype_test_cidrs(). */
  #testLengths(key: Element, options: LookupOptions | undefined, now: Micros): Found {
    const [first, second] = this.#lengths;
    const bits = typeof key.ip === "number" ? 32 : 128;
    const lengths = this.#nets[0] ? first.lengths : [bits];
    const lengths2 = this.#nets[1] ? second.lengths : [bits];
    for (const cidr of lengths) {
      const ip = maskAddress(key.ip, cidr);
      for (const cidr2 of lengths2) {
        const ip2 = maskAddress(key.ip2, cidr2);
        const { found, stop } = this.#probe({ ...key, ip, cidr, ip2, cidr2 }, options, now);
        if (found !== undefined) return found;
        if (stop) return "no";
      }
    }
    return "no";
  }

  /** One bucket. `stop`: the net is there, for other interfaces only, and shorter ones are not looked at. */
  #probe(
    key: Element,
    options: LookupOptions | undefined,
    now: Micros,
  ): { readonly found: "yes" | "nomatch" | undefined; readonly stop: boolean } {
    const words = this.#words(key);
    const bucket = this.#table.bucketOf(words);
    if (bucket === undefined) return NOTHING;
    let stop = false;
    for (const entry of bucket) {
      if (entry === undefined || !equalWords(entry.words, words)) continue;
      stop = this.#multi;
      if (!sameRest(entry.element, key)) continue;
      if (matchExtensions(entry.extensions, this.#parameters.kinds, options, jiffiesOf(now)))
        return entry.nomatch ? FOUND_NOMATCH : FOUND;
      stop = false;
    }
    return stop ? STOP : NOTHING;
  }

  /** Nets get the longest length in use. */
  #packetKey(element: Element): Element {
    const [first, second] = this.#lengths;
    return this.#key({
      ...element,
      cidr: (this.#nets[0] ? first.lengths[0] : undefined) ?? element.cidr,
      cidr2: (this.#nets[1] ? second.lengths[0] : undefined) ?? element.cidr2,
    });
  }

  addPacket(element: Element, { exist, given }: PacketAdd, now: Micros): boolean {
    this.#table.catchUp(now);
    const key = this.#packetKey(element);
    if (this.#parameters.type.name === "hash:ip" && Number(key.ip) === 0) return false;
    // A packet cannot make the table grow: an add that needs it is lost.
    return (
      this.#table.add(key, this.#words(key), { given, nomatch: false, exist, now }) === "added"
    );
  }

  deletePacket(element: Element, now: Micros): boolean {
    this.#table.catchUp(now);
    const key = this.#packetKey(element);
    return this.#table.delete(key, this.#words(key), now);
  }
}

const NOTHING = { found: undefined, stop: false } as const;
const STOP = { found: undefined, stop: true } as const;
const FOUND = { found: "yes", stop: false } as const;
const FOUND_NOMATCH = { found: "nomatch", stop: false } as const;

function isIcmp(protocol: number): boolean {
  return protocol === 1 || protocol === 58;
}

function ordered(a: Ipv4, b: Ipv4): readonly [Ipv4, Ipv4] {
  return a <= b ? [a, b] : [b, a];
}

/** The nets of a range; undefined without one. */
function netsOf(ip: Ipv4, to: Ipv4 | undefined): SetError | (() => Iterable<Net>) | undefined {
  if (to === undefined) return undefined;
  const [from, last] = ordered(ip, to);
  return from === 0 && last === 0xffff_ffff ? "WHOLE_SPACE" : () => netsBetween(from, last);
}
