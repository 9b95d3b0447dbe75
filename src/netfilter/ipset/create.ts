import { type IpAddress, type Ipv4, type Ipv6, ipv4Mask, maskIpv4 } from "../../wire/ip.js";
import type { Micros } from "../../sim/time.js";
import { BITMAP_MAX, BitmapSet, elementsOf } from "./bitmap-set.js";
import type { ExtensionKinds } from "./extensions.js";
import type { SetError } from "./failure.js";
import { HashSet } from "./hash-set.js";
import { ListSet, type SetDirectory } from "./list-set.js";
import { lastOf, maskAddress } from "./ranges.js";
import { formatSetAddress } from "./element.js";
import type { SetFamily, SetType } from "./types.js";

/** What `create` gives; undefined where it was not named. */
export interface CreateRequest {
  readonly name: string;
  readonly type: SetType;
  readonly family: SetFamily;
  readonly kinds: ExtensionKinds;
  readonly first?: number | undefined;
  readonly last?: number | undefined;
  /** The range was written as a net of this length. */
  readonly rangeCidr?: number | undefined;
  readonly netmask?: number | undefined;
  readonly bitmask?: IpAddress | undefined;
  readonly markmask?: number | undefined;
  readonly hashsize?: number | undefined;
  readonly maxelem?: number | undefined;
  readonly bucketsize?: number | undefined;
  readonly initval?: number | undefined;
  readonly size?: number | undefined;
}

/** A set as the kernel made it: what list prints of it, and its elements. */
export interface IpSet {
  readonly type: SetType;
  readonly family: SetFamily;
  readonly kinds: ExtensionKinds;
  readonly store: HashSet | BitmapSet | ListSet;
  /** Options in the order that they are printed; flags have no value. */
  readonly header: () => readonly HeaderField[];
  /** Sets of one description are the same to `-exist create`. */
  readonly signature: string;
  /** Lists that it is in. */
  references: number;
}

export type HeaderField = readonly [name: string, value: string | undefined];

export interface CreateContext {
  readonly now: Micros;
  readonly random: () => number;
  readonly directory: SetDirectory;
}

const DEFAULT_HASHSIZE = 1_024;
const DEFAULT_MAXELEM = 65_536;
const DEFAULT_BUCKETSIZE = 12;

/** Makes the set that is asked for. Mirrors *_create() of net/netfilter/ipset. */
export function makeSet(request: CreateRequest, context: CreateContext): IpSet | SetError {
  switch (request.type.method) {
    case "bitmap":
      return makeBitmap(request, context);
    case "hash":
      return makeHash(request, context);
    case "list":
      return makeList(request, context);
  }
}

function makeBitmap(request: CreateRequest, { now }: CreateContext): IpSet | SetError {
  const { type, kinds } = request;
  const isPort = type.name === "bitmap:port";
  const netmask = request.netmask ?? 32;
  const ends = [request.first ?? 0, request.last ?? request.first ?? 0] as const;
  let first = Math.min(...ends);
  let last = Math.max(...ends);
  if (request.rangeCidr !== undefined) {
    if (request.rangeCidr >= 32) return "INVALID_CIDR";
    last = lastOf(first as Ipv4, request.rangeCidr);
    first = maskIpv4(first as Ipv4, request.rangeCidr);
  }
  if (netmask !== 32) {
    first = maskIpv4(first as Ipv4, netmask);
    last = (last | ~ipv4Mask(netmask)) >>> 0;
    const given = request.rangeCidr;
    if (given !== undefined && netmask <= given) return "OUT_OF_RANGE";
  }
  if (elementsOf({ first, last, netmask }) > BITMAP_MAX) return "RANGE_SIZE";
  const store = new BitmapSet({ type, first, last, netmask, kinds }, now);
  const shown = (value: number): string =>
    isPort ? String(value) : [24, 16, 8, 0].map((bits) => (value >>> bits) & 255).join(".");
  const header: readonly HeaderField[] = [
    ["range", `${shown(first)}-${shown(last)}`],
    ...field("netmask", netmask === 32 ? undefined : netmask),
    ...extensionFields(kinds),
  ];
  return finished(request, store, () => header, [first, last, netmask]);
}

function makeHash(request: CreateRequest, { now, random }: CreateContext): IpSet | SetError {
  const { type, family, kinds } = request;
  const wide = family === "inet6";
  const maxelem = request.maxelem ?? DEFAULT_MAXELEM;
  const markmask = request.markmask ?? 0xffff_ffff;
  const netmask = request.netmask ?? (wide ? 128 : 32);
  const ones: IpAddress = wide ? (((1n << 128n) - 1n) as Ipv6) : ipv4Mask(32);
  const mask = request.bitmask ?? maskAddress(ones, netmask);
  if (Number(mask) === 0) return "INVALID_NETMASK";
  const initval = request.initval ?? Math.floor(random() * 0x1_0000_0000) >>> 0;
  const store = new HashSet(
    {
      type,
      wide,
      kinds,
      hashBits: Math.max(
        6,
        Math.ceil(Math.log2(Math.max(1, request.hashsize ?? DEFAULT_HASHSIZE))),
      ),
      maxelem,
      bucketSize: evenBucket(request.bucketsize ?? DEFAULT_BUCKETSIZE),
      initval,
      mask,
      netmask,
      markmask,
    },
    now,
  );
  const masks: readonly HeaderField[] = [
    ...field("netmask", request.netmask === (wide ? 128 : 32) ? undefined : request.netmask),
    ...field(
      "bitmask",
      request.bitmask === undefined ? undefined : formatSetAddress(request.bitmask),
    ),
  ];
  const maskLast = type.dimensions.length > 1;
  const header = (): readonly HeaderField[] => [
    ...field("family", type.families === "none" ? undefined : family),
    ...field("markmask", markmask === 0xffff_ffff ? undefined : hex8(markmask)),
    ["hashsize", String(store.hashSize)],
    ["maxelem", String(maxelem)],
    ...(maskLast ? [] : masks),
    ...extensionFields(kinds),
    ["bucketsize", String(store.bucketSize)],
    ["initval", hex8(initval)],
    ...(maskLast ? masks : []),
  ];
  return finished(request, store, header, [maxelem, mask, markmask]);
}

/** Even, 2 to 12. Mirrors the reading of IPSET_ATTR_BUCKETSIZE in IPSET_TOKEN(HTYPE, _create)(). */
function evenBucket(size: number): number {
  const bounded = Math.min(Math.max(size, 2), 12);
  return bounded + (bounded % 2);
}

function makeList(request: CreateRequest, { directory }: CreateContext): IpSet {
  const size = Math.max(request.size ?? 8, 4);
  const store = new ListSet(request.kinds, directory);
  const header: readonly HeaderField[] = [
    ["size", String(size)],
    ...extensionFields(request.kinds),
  ];
  return finished(request, store, () => header, [size]);
}

function finished(
  { type, family, kinds }: CreateRequest,
  store: IpSet["store"],
  header: IpSet["header"],
  own: readonly unknown[],
): IpSet {
  const parts = [type.name, kinds.timeout, kinds.counters, kinds.comment, kinds.skbinfo, ...own];
  return {
    type,
    family,
    kinds,
    store,
    header,
    signature: parts.map(String).join(" "),
    references: 0,
  };
}

function field(name: string, value: string | number | undefined): readonly HeaderField[] {
  return value === undefined ? [] : [[name, String(value)]];
}

function extensionFields({
  timeout,
  counters,
  comment,
  skbinfo,
}: ExtensionKinds): readonly HeaderField[] {
  const flag = (name: string, present: boolean): readonly HeaderField[] =>
    present ? [[name, undefined]] : [];
  return [
    ...field("timeout", timeout),
    ...flag("counters", counters),
    ...flag("comment", comment),
    ...flag("skbinfo", skbinfo),
  ];
}

function hex8(value: number): string {
  return `0x${value.toString(16).padStart(8, "0")}`;
}
