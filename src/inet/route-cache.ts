import type { NetDevice } from "../core/device.js";
import type { NetworkNamespace } from "../core/namespace.js";
import { foldAddress, type IpAddress } from "../wire/ip.js";
import { routingGeneration } from "./generation.js";

const SLOTS = 4096;

interface Entry<T> {
  destination: IpAddress;
  source: IpAddress;
  dev: NetDevice | undefined;
  tos: number;
  mark: number;
  generation: number;
  decision: T;
}

/**
 * Decisions already taken, until anything changes that could change one. It has a fixed size: a new entry is written over an older
 * one, so that packets to ever other addresses leave nothing behind.
 */
export class RouteCache<T> {
  readonly #generation: { readonly current: number };
  readonly #slots: (Entry<T> | undefined)[] = Array.from({ length: SLOTS });

  constructor(ns: NetworkNamespace) {
    this.#generation = routingGeneration(ns);
  }

  get(
    destination: IpAddress,
    source: IpAddress,
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

  clear(): void {
    this.#slots.fill(undefined);
  }

  set(
    destination: IpAddress,
    source: IpAddress,
    dev: NetDevice | undefined,
    tos: number,
    mark: number,
    decision: T,
  ): void {
    const generation = this.#generation.current;
    const slot = slotOf(destination, source);
    const entry = this.#slots[slot];
    if (entry === undefined) {
      this.#slots[slot] = { destination, source, dev, tos, mark, generation, decision };
      return;
    }
    entry.destination = destination;
    entry.source = source;
    entry.dev = dev;
    entry.tos = tos;
    entry.mark = mark;
    entry.generation = generation;
    entry.decision = decision;
  }
}

function slotOf(destination: IpAddress, source: IpAddress): number {
  return (
    (Math.imul(foldAddress(destination), 0x9e37_79b1) ^
      Math.imul(foldAddress(source), 0x85eb_ca6b)) >>>
    20
  );
}
