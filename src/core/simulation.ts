import { type Random, seededRandom } from "../base/random.js";
import { UserError } from "../base/errors.js";
import { EventQueue } from "../sim/event-queue.js";
import { Softirq } from "../sim/softirq.js";
import { TimerWheel } from "../sim/timer-wheel.js";
import type { Micros } from "../sim/time.js";
import type { Frame } from "../wire/frame.js";
import { NetworkNamespace, type PernetOperations } from "./namespace.js";
import type { SkBuff } from "./skbuff.js";
import { told, type TraceEvent } from "./trace.js";

export interface SimulationOptions {
  /** Everything random follows from it. */
  readonly seed: number;
  /** The subsystems of every namespace, in the order they are set up. */
  readonly pernet: readonly PernetOperations[];
}

/** One world that packets live in: a clock, a source of chance, namespaces, and someone who may listen. */
export class Simulation {
  readonly queue: EventQueue = new EventQueue();
  /** Timers whose order, when they are due together, is the kernel's. */
  readonly timers: TimerWheel = new TimerWheel(this.queue);
  /** When packets that have arrived are taken in. */
  readonly softirq: Softirq = new Softirq(this.queue);
  readonly random: Random = () => this.#source();
  readonly namespaces: Map<string, NetworkNamespace> = new Map();
  /**
   * Asked, while set, whether a rule that decides by chance matches: `rule` is the same object at each visit of one rule,
   * `probability` that of a match. Undefined leaves the decision to chance.
   */
  decide: ((rule: object, probability: number) => boolean | undefined) | undefined;
  /** Called with every step while set; undefined costs nothing. */
  trace: ((event: TraceEvent) => void) | undefined;
  /** Every packet is born once and ends once; `born - delivered - dropped` are alive. */
  readonly packets: { born: number; delivered: number; dropped: number } = {
    born: 0,
    delivered: 0,
    dropped: 0,
  };
  readonly #pernet: readonly PernetOperations[];
  #macs = 0;
  #source: Random;

  constructor(options: SimulationOptions) {
    this.#source = seededRandom(options.seed);
    this.#pernet = options.pernet;
  }

  /** Begins chance anew: what was drawn before, while the world was built, changes nothing of what comes. */
  reseed(seed: number): void {
    this.#source = seededRandom(seed);
  }

  createNamespace(name: string): NetworkNamespace {
    const ns = new NetworkNamespace(name, this);
    this.namespaces.set(name, ns);
    for (const subsystem of this.#pernet) subsystem.init(ns);
    return ns;
  }

  /** The number of the next device of the world, to make its MAC address from. */
  allocateMacNumber(): number {
    return ++this.#macs;
  }

  step(): boolean {
    return this.queue.step();
  }

  /** Runs what is queued up to `until`, or all of it but the background. More than `limit` events are an endless loop: a UserError says so. */
  runUntilIdle(until?: Micros, limit = 1_000_000): void {
    for (let events = 0; ; events++) {
      const next = this.queue.nextAt;
      if (next === undefined || (until === undefined ? this.queue.isIdle : next > until)) break;
      if (events >= limit) {
        throw new UserError(
          "LIMIT_EVENTS",
          `more than ${limit} events in one run: packets seem to go round in circles`,
        );
      }
      this.queue.step();
    }
    if (until !== undefined) this.queue.advanceTo(until);
  }
}

/** Brings a packet into being. `by` says what made it, `cause` the packet that made it necessary. */
export function newSkb(ns: NetworkNamespace, frame: Frame, by: string, cause?: SkBuff): SkBuff {
  const { sim } = ns;
  const skb: SkBuff = {
    id: ++sim.packets.born,
    frame,
    ns,
    dev: undefined,
    inDev: undefined,
    packetType: "HOST",
    mark: 0,
    priority: 0,
    ct: undefined,
    route: undefined,
    socket: undefined,
    notLoopedBack: false,
    bridge: undefined,
    fragmentMaxSize: 0,
    fragmentsHadDf: false,
    ignoreDf: false,
    clones: undefined,
    cause: cause?.id,
    nfTrace: false,
    ended: false,
  };
  sim.trace?.(told(skb, { kind: "born", by, cause: skb.cause }));
  return skb;
}

/** A second envelope with the same frame and state, that belongs to no socket. Mirrors skb_clone(). */
export function cloneSkb(skb: SkBuff, by: string): SkBuff {
  const copy = newSkb(skb.ns, skb.frame, by, skb);
  skb.clones ??= new Set([skb]);
  copy.clones = skb.clones.add(copy);
  copy.dev = skb.dev;
  copy.inDev = skb.inDev;
  copy.packetType = skb.packetType;
  copy.mark = skb.mark;
  copy.priority = skb.priority;
  copy.ct = skb.ct;
  copy.route = skb.route;
  copy.bridge = skb.bridge === undefined ? undefined : { ...skb.bridge };
  copy.fragmentMaxSize = skb.fragmentMaxSize;
  copy.fragmentsHadDf = skb.fragmentsHadDf;
  copy.ignoreDf = skb.ignoreDf;
  copy.nfTrace = skb.nfTrace;
  return copy;
}

/**
 * Writes into the bytes of a packet where they stand: whoever replaces a frame has a copy of its own, this is seen by all clones
 * that did not. For what forgets net/core/skbuff.c:skb_ensure_writable().
 */
export function writeInPlace(skb: SkBuff, after: Frame): void {
  const before = skb.frame;
  skb.frame = after;
  for (const clone of skb.clones ?? []) {
    if (clone.frame !== before || clone.ended) continue;
    clone.frame = after;
    const by = "bytes shared with a clone";
    const where = { hook: undefined, in: undefined, out: undefined };
    clone.ns.sim.trace?.(told(clone, { kind: "rewrite", by, ...where, before, after }));
  }
}
