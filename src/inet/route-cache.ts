import type { NetDevice } from "../core/device.js";
import type { NetworkNamespace } from "../core/namespace.js";
import type { Ipv4 } from "../wire/ip.js";
import { routingGeneration } from "./generation.js";

const SLOTS = 4096;

interface Entry<T> {
  readonly destination: Ipv4;
  readonly source: Ipv4;
  readonly dev: NetDevice | undefined;
  readonly tos: number;
  readonly mark: number;
  readonly generation: number;
  readonly decision: T;
}

/** Decisions already taken, until anything changes that could change one. It has a fixed size: a new entry takes the place of an older one. */
export class RouteCache<T> {
  readonly #generation: { readonly current: number };
  readonly #slots: (Entry<T> | undefined)[] = Array.from({ length: SLOTS });

  constructor(ns: NetworkNamespace) {
    this.#generation = routingGeneration(ns);
  }

  get(
    destination: Ipv4,
    source: Ipv4,
    dev: NetDevice | undefined,
    tos: number,
    mark: number,
  ): T | undefined {
    const entry = this.#slots[slotOf(destination, source)];
    if (entry === undefined || entry.generation !== this.#generation.current) return undefined;
    const same =
      entry.destination === destination &&
      entry.source === source &&
      entry.dev === dev &&
      entry.tos === tos &&
      entry.mark === mark;
    return same ? entry.decision : undefined;
  }

  set(
    destination: Ipv4,
    source: Ipv4,
    dev: NetDevice | undefined,
    tos: number,
    mark: number,
    decision: T,
  ): void {
    const generation = this.#generation.current;
    this.#slots[slotOf(destination, source)] = {
      destination,
      source,
      dev,
      tos,
      mark,
      generation,
      decision,
    };
  }
}

function slotOf(destination: Ipv4, source: Ipv4): number {
  return (Math.imul(destination, 0x9e37_79b1) ^ Math.imul(source, 0x85eb_ca6b)) >>> 20;
}
