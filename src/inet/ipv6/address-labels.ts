import type { NetDevice } from "../../core/device.js";
import { type NetworkNamespace, perNamespace } from "../../core/namespace.js";
import {
  type Ipv6,
  ipv6PrefixContains,
  type Ipv6Prefix,
  mappedIpv4,
  maskIpv6,
  parseIpv6Prefix,
} from "../../wire/ip.js";

/** Addresses of one kind, so that a source of the kind of its destination is chosen. RFC 6724 §2.1. */
export interface AddressLabel {
  readonly prefix: Ipv6Prefix;
  /** On one device alone. */
  readonly dev: NetDevice | undefined;
  /** 0..0xfffffffe. */
  readonly label: number;
}

/** What a namespace begins with, in the order the kernel adds it. Mirrors net/ipv6/addrlabel.c:ip6addrlbl_init_table[]. */
const DEFAULTS = [
  ["::/0", 1],
  ["fc00::/7", 5],
  ["fec0::/10", 11],
  ["2002::/16", 2],
  ["3ffe::/16", 12],
  ["2001::/32", 6],
  ["2001:10::/28", 7],
  ["::ffff:0:0/96", 4],
  ["::/96", 3],
  ["::1/128", 0],
] as const;

/** Of an address that no label is about. Mirrors IPV6_ADDR_LABEL_DEFAULT. */
const NO_LABEL = 0xffff_ffff;

/** The labels of one namespace: the longest prefix first, those of a device before those of all. Mirrors net/ipv6/addrlabel.c. */
export class AddressLabels {
  #list: readonly AddressLabel[] = [];

  constructor() {
    for (const [text, label] of DEFAULTS) {
      const prefix = parseIpv6Prefix(text);
      if (prefix !== undefined) this.add({ prefix, dev: undefined, label });
    }
  }

  get list(): readonly AddressLabel[] {
    return this.#list;
  }

  /** The kernel's answer when it refuses. Mirrors ip6addrlbl_add() and __ip6addrlbl_add(). */
  add({ prefix: { address, length }, dev, label }: AddressLabel): string | undefined {
    if (length > 96 && mappedIpv4(address) !== undefined) return "Invalid argument";
    const prefix = { address: maskIpv6(address, length), length };
    let at = this.#list.length;
    for (const [index, other] of this.#list.entries()) {
      if (isSame(other, prefix, dev)) return "File exists";
      const isAfter =
        other.prefix.length < length || (other.prefix.length === length && other.dev === undefined);
      if (!isAfter) continue;
      at = index;
      break;
    }
    this.#list = this.#list.toSpliced(at, 0, { prefix, dev, label });
    return undefined;
  }

  /** Whatever its label is. Mirrors __ip6addrlbl_del(). */
  remove({ prefix: { address, length }, dev }: AddressLabel): string | undefined {
    const prefix = { address: maskIpv6(address, length), length };
    const at = this.#list.findIndex((other) => isSame(other, prefix, dev));
    if (at < 0) return "No such process";
    this.#list = this.#list.toSpliced(at, 1);
    return undefined;
  }

  flush(): void {
    this.#list = [];
  }

  /** The label of an address on a device. Mirrors ipv6_addr_label(). */
  of(address: Ipv6, on: NetDevice | undefined): number {
    const found = this.#list.find(
      ({ prefix, dev }) => (dev === undefined || dev === on) && ipv6PrefixContains(prefix, address),
    );
    return found?.label ?? NO_LABEL;
  }
}

function isSame(
  { prefix, dev }: AddressLabel,
  { address, length }: Ipv6Prefix,
  on: NetDevice | undefined,
): boolean {
  return prefix.address === address && prefix.length === length && dev === on;
}

export const addressLabels: (ns: NetworkNamespace) => AddressLabels = perNamespace(
  () => new AddressLabels(),
);
