import { swapBytes } from "../../base/jhash.js";
import { type IpAddress, MAC_ZERO } from "../../wire/ip.js";
import type { Element } from "./element.js";
import { roundUp } from "./extensions.js";
import type { SetType } from "./types.js";

/**
 * How the kernel lays an element out in memory: its hash, and so the order of a listing, is made over these words, and
 * the sizes that list prints follow from it. Little-endian, as x86-64 and arm64.
 */
export interface Layout {
  /** The words that are hashed and compared, for a net of the given lengths. */
  readonly words: (element: Element) => readonly number[];
  readonly bytes: number;
  readonly alignment: number;
  /** Bytes of the set without elements, with one region of 1,024 buckets. */
  readonly baseBytes: number;
}

type Words = (element: Element) => readonly number[];

/** Mirrors struct hash_*4_elem and hash_*6_elem of net/netfilter/ipset/ip_set_hash_*.c. */
const LAYOUTS: Readonly<
  Record<string, { readonly words: Words; readonly extra: number; readonly addresses: number }>
> = {
  "hash:ip": { words: ({ ip }) => address(ip), extra: 0, addresses: 1 },
  "hash:mac": { words: (e) => mac(e), extra: 8, addresses: 0 },
  "hash:ip,mac": { words: (e) => [...mac(e), ...address(e.ip)], extra: 8, addresses: 1 },
  "hash:ip,mark": { words: (e) => [...address(e.ip), e.mark], extra: 4, addresses: 1 },
  "hash:ip,port": {
    words: (e) => [...address(e.ip), portWord(e, e.proto, 0)],
    extra: 4,
    addresses: 1,
  },
  "hash:ip,port,ip": {
    words: (e) => [...address(e.ip), ...address(e.ip2), portWord(e, e.proto, 0)],
    extra: 4,
    addresses: 2,
  },
  "hash:ip,port,net": {
    words: (e) => [...address(e.ip), ...address(e.ip2), portWord(e, e.cidr2 - 1, e.proto)],
    extra: 4,
    addresses: 2,
  },
  "hash:net": { words: (e) => [...address(e.ip), e.cidr * 0x100_0000], extra: 4, addresses: 1 },
  "hash:net,net": {
    words: (e) => [...address(e.ip), ...address(e.ip2), e.cidr * 0x1_0000 + e.cidr2 * 0x100_0000],
    extra: 4,
    addresses: 2,
  },
  "hash:net,port": {
    words: (e) => [...address(e.ip), portWord(e, e.proto, e.cidr - 1)],
    extra: 4,
    addresses: 1,
  },
  "hash:net,port,net": {
    words: (e) => [
      ...address(e.ip),
      ...address(e.ip2),
      networkPort(e.port) + e.cidr * 0x1_0000 + e.cidr2 * 0x100_0000,
      e.proto * 0x100_0000,
    ],
    extra: 8,
    addresses: 2,
  },
  // The interface is compared but not hashed.
  "hash:net,iface": {
    words: (e) => [...address(e.ip), Number(e.physdev) + e.cidr * 0x100 + 0x100_0000],
    extra: 21,
    addresses: 1,
  },
};

/** The layout of a hash type in one family. */
export function layoutOf({ name, options, dimensions, net0 }: SetType, wide: boolean): Layout {
  const { words, extra, addresses } = LAYOUTS[name] ?? { words: () => [], extra: 0, addresses: 0 };
  // Two IPv4 addresses of a net are compared as one 64-bit number.
  const alignment = !wide && ["hash:net,net", "hash:net,port,net"].includes(name) ? 8 : 4;
  const bytes = roundUp(addresses * (wide ? 16 : 4) + extra, alignment);
  const nets = dimensions.filter((part) => part === "net").length;
  const lengths = (wide ? 128 : 32) + (net0 ? 1 : 0);
  // struct htype: what every set has, the masks, the list of its users, the next element, the lengths of nets in use.
  const own = 168 + (options.includes("markmask") ? 4 : 0) + 1;
  const masks = roundUp(options.includes("netmask") ? own + 3 + 16 : own, 8);
  const next = roundUp(masks + 16, alignment) + bytes;
  return {
    words: padded(words, alignment, addresses),
    bytes,
    alignment,
    baseBytes: roundUp(next + lengths * (nets === 0 ? 0 : nets === 1 ? 8 : 12), 8),
  };
}

/** The padding of an 8-byte aligned element is hashed too. */
function padded(words: Words, alignment: number, addresses: number): Words {
  return alignment === 8 && addresses === 2
    ? (element) => {
        const made = words(element);
        return made.length % 2 === 0 ? made : [...made, 0];
      }
    : words;
}

/** An address in network byte order. */
function address(value: IpAddress): readonly number[] {
  if (typeof value === "number") return [swapBytes(value)];
  const word = (shift: bigint): number => swapBytes(Number((value >> shift) & 0xffff_ffffn));
  return [word(96n), word(64n), word(32n), word(0n)];
}

function mac({ mac: value = MAC_ZERO }: Element): readonly number[] {
  const high = Math.floor(value / 0x1_0000);
  return [swapBytes(high), networkPort(value % 0x1_0000)];
}

function networkPort(port: number): number {
  return ((port & 0xff) << 8) | (port >>> 8);
}

function portWord({ port }: Element, third: number, fourth: number): number {
  return networkPort(port) + third * 0x1_0000 + fourth * 0x100_0000;
}
