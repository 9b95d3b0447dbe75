import { broadcastOf, type Ipv4Prefix, networkOf } from "../../wire/ip.js";

/** A range of numbers that is given out in two parts: the dynamic upper part first, the static band last. */
export class BandedRange {
  readonly first: number;
  readonly last: number;
  /** How many numbers at the low end are left to those who ask for them. */
  readonly band: number;
  readonly #used = new Set<number>();
  #dynamic: number;
  #static: number;

  constructor(first: number, last: number, band: number) {
    this.first = first;
    this.last = last;
    this.band = Math.min(band, Math.max(0, last - first + 1));
    this.#dynamic = first + this.band;
    this.#static = first;
  }

  has(value: number): boolean {
    return this.#used.has(value);
  }

  /** Takes a number that was asked for; false when it is taken or outside. */
  take(value: number): boolean {
    if (value < this.first || value > this.last || this.#used.has(value)) return false;
    this.#used.add(value);
    return true;
  }

  /** The lowest free number of the dynamic part, else of the band; undefined when the range is full. */
  allocate(): number | undefined {
    for (; this.#dynamic <= this.last; this.#dynamic++)
      if (this.take(this.#dynamic)) return this.#dynamic;
    for (; this.#static < this.first + this.band; this.#static++)
      if (this.take(this.#static)) return this.#static;
    return undefined;
  }
}

/** The static band of a service range with `size` addresses. Mirrors pkg/registry/core/service/ipallocator:calculateRangeOffset(). */
export function serviceBand(size: number): number {
  return size <= 16 ? 0 : Math.min(Math.max(16, Math.floor(size / 16)), 256);
}

/** The addresses of a service CIDR: without the network and the broadcast address. */
export function serviceRange(cidr: Ipv4Prefix): BandedRange {
  const size = 2 ** (32 - cidr.length);
  return new BandedRange(networkOf(cidr).address + 1, broadcastOf(cidr) - 1, serviceBand(size));
}

/** `--service-node-port-range`. */
export const NODE_PORTS: { readonly first: number; readonly last: number } = {
  first: 30_000,
  last: 32_767,
};

/** The static band of a node port range. Mirrors pkg/registry/core/service/portallocator:calculateRangeOffset(). */
export function nodePortBand(size: number): number {
  return size <= 16 ? 0 : Math.min(Math.max(16, Math.floor(size / 32)), 128);
}
