import { type Random, randomBetween, seededRandom } from "../base/random.js";
import { type NetworkNamespace, perNamespace } from "../core/namespace.js";
import { foldAddress, type IpAddress } from "../wire/ip.js";
import { ipv4Sysctls } from "./sysctls.js";

const PERTURBATIONS = 256;

/** Where the sockets of one namespace get their ports and other numbers from: the same for the same seed. */
export class SocketPorts {
  readonly random: Random;
  readonly #ns: NetworkNamespace;
  readonly #key: number;
  readonly #perturbations: Uint32Array;

  constructor(ns: NetworkNamespace) {
    this.#ns = ns;
    this.random = seededRandom(randomBetween(ns.sim.random, 0, 0xffff_ffff));
    this.#key = randomBetween(this.random, 0, 0xffff_ffff);
    this.#perturbations = Uint32Array.from({ length: PERTURBATIONS }, () =>
      randomBetween(this.random, 0, 0xffff),
    );
  }

  /** Any free port of the range, from a random one on; undefined when all are taken. Mirrors net/ipv4/udp.c:udp_lib_get_port(). */
  anyPort(isFree: (port: number) => boolean): number | undefined {
    const [low, high] = ipv4Sysctls(this.#ns).localPorts;
    const size = high - low + 1;
    const start = randomBetween(this.random, 0, size - 1);
    return this.#search(low, size, start, 1, isFree);
  }

  /**
   * The port of a TCP connection to one destination: those of the range's own parity first, higher with every connection.
   * Mirrors net/ipv4/inet_hashtables.c:__inet_hash_connect().
   */
  connectPort(
    source: IpAddress,
    destination: IpAddress,
    port: number,
    isFree: (port: number) => boolean,
  ): number | undefined {
    const [low, high] = ipv4Sysctls(this.#ns).localPorts;
    const size = (high - low + 1) & ~1;
    if (size === 0) return isFree(low) ? low : undefined;
    const hash =
      (Math.imul(foldAddress(source) ^ this.#key, 0x9e37_79b1) ^
        Math.imul(foldAddress(destination) + port, 0x85eb_ca6b)) >>>
      0;
    const index = hash % PERTURBATIONS;
    const start = ((hash + (this.#perturbations[index] ?? 0)) % size) & ~1;
    const found =
      this.#search(low, size, start, 2, isFree) ?? this.#search(low + 1, size, start, 2, isFree);
    if (found === undefined) return undefined;
    const skip = this.random() < 1 / 16 ? 2 : 0;
    this.#perturbations[index] =
      (this.#perturbations[index] ?? 0) + (((found - low - start + size) % size) & ~1) + skip + 2;
    return found;
  }

  #search(
    low: number,
    size: number,
    start: number,
    step: number,
    isFree: (port: number) => boolean,
  ): number | undefined {
    const sysctls = ipv4Sysctls(this.#ns);
    for (let tried = 0; tried < size; tried += step) {
      const port = low + ((start + tried) % size);
      if (!sysctls.isReserved(port) && isFree(port)) return port;
    }
    return undefined;
  }
}

export const socketPorts: (ns: NetworkNamespace) => SocketPorts = perNamespace(
  (ns) => new SocketPorts(ns),
);
