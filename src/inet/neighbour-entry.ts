import type { NetDevice } from "../core/device.js";
import { drop } from "../core/drop.js";
import type { SkBuff } from "../core/skbuff.js";
import { told } from "../core/trace.js";
import type { Timer } from "../sim/event-queue.js";
import { later, type Micros, milliseconds } from "../sim/time.js";
import { frameLength } from "../wire/frame.js";
import { formatIp, formatMac, type IpAddress, type Ipv4, type Mac } from "../wire/ip.js";
import type { NeighbourParms } from "./neighbour-parms.js";

/**
 * What is known of a neighbour. Mirrors include/uapi/linux/neighbour.h: NUD_*.
 *
 *            packet                    reply
 *   NONE ───────────► INCOMPLETE ──────────────► REACHABLE ◄──────────────┐
 *                      │ 3 requests, 1 s apart      │ 15..45 s            │ confirmed
 *                      ▼                            ▼        packet       │
 *                    FAILED ◄── 3 requests ── PROBE ◄── 5 s ── DELAY ◄── STALE
 */
export type NudState =
  | "NONE"
  | "INCOMPLETE"
  | "REACHABLE"
  | "STALE"
  | "DELAY"
  | "PROBE"
  | "FAILED"
  | "NOARP"
  | "PERMANENT";

const CONNECTED: ReadonlySet<NudState> = new Set(["REACHABLE", "NOARP", "PERMANENT"]);
/** How much later than asked a timer of seconds fires at least. Observed: 20 to 250 ms on 6.18. */
const timerSlack: Micros = milliseconds(20);

const VALID: ReadonlySet<NudState> = new Set([...CONNECTED, "STALE", "DELAY", "PROBE"]);

/** How far a piece of news may change an entry. Mirrors NEIGH_UPDATE_F_*. */
export interface UpdateRights {
  /** Another address may replace a known one. */
  readonly override?: boolean;
  /** Another address makes a known one doubtful. Mirrors NEIGH_UPDATE_F_WEAK_OVERRIDE. */
  readonly weakOverride?: boolean;
  /** An administrator says so: permanent entries change, too. */
  readonly admin?: boolean;
}

/** What ARP or neighbour discovery does for neighbours. Mirrors struct neigh_ops. */
export interface NeighbourOps<A extends IpAddress = Ipv4> {
  /** Asks who has the address; `trigger` is the packet that waits longest at the end of the queue. */
  solicit(neighbour: Neighbour<A>, trigger: SkBuff | undefined): void;
  /** Tells the sender of a packet that its next hop does not answer. */
  errorReport(skb: SkBuff): void;
  /** A neighbour is known not to answer from now on, or no longer. */
  turned?(neighbour: Neighbour<A>): void;
  /** How neighbours of a device are resolved. */
  parms(dev: NetDevice): NeighbourParms;
}

/** One neighbour on one device. Mirrors struct neighbour. */
export class Neighbour<A extends IpAddress = Ipv4> {
  readonly dev: NetDevice;
  readonly address: A;
  /** It said that it is a router. Mirrors NTF_ROUTER. */
  isRouter = false;
  readonly #ops: NeighbourOps<A>;
  mac: Mac | undefined;
  /** When the neighbour last proved that it is there. */
  confirmed: Micros;
  /** When state or MAC last changed. */
  updated: Micros;
  /** A packet was sent, so the Ethernet header is kept ready. Mirrors neigh->hh. */
  hasHeader = false;
  /** Requests sent since resolution began; a first resolution counts from `ucast_solicit` on. */
  probes = 0;
  #state: NudState = "NONE";
  #timer: Timer | undefined;
  #queue: Waiting[] = [];
  #queueBytes = 0;

  constructor(dev: NetDevice, address: A, ops: NeighbourOps<A>) {
    this.dev = dev;
    this.address = address;
    this.#ops = ops;
    this.confirmed = this.#now;
    this.updated = this.#now;
  }

  /** The state now: a REACHABLE entry grows STALE by itself when its confirmation is old. No timer waits for that. */
  get state(): NudState {
    if (this.#state === "REACHABLE") {
      const until = later(this.confirmed, this.#parms.reachableTime);
      if (this.#now > until) {
        this.#state = "STALE";
        this.updated = until;
      }
    }
    return this.#state;
  }

  get isConnected(): boolean {
    return CONNECTED.has(this.state);
  }

  get isValid(): boolean {
    return VALID.has(this.state);
  }

  /** How many packets wait for an answer. */
  get waiting(): number {
    return this.#queue.length;
  }

  /** Whether this packet waits for an answer here. */
  holds(skb: SkBuff): boolean {
    return this.#queue.some((waiting) => waiting.skb === skb);
  }

  /** Something heard from the neighbour (TCP progress). Mirrors include/net/neighbour.h:neigh_confirm(). */
  confirm(): void {
    if (this.state !== "NONE") this.confirmed = this.#now;
  }

  /** Sends a packet to the neighbour, now or when it has answered. Mirrors net/core/neighbour.c:__neigh_event_send(). */
  output(skb: SkBuff, transmit: (skb: SkBuff, mac: Mac) => void): void {
    const from = this.state;
    switch (from) {
      case "NONE":
      case "FAILED":
        this.probes = this.#parms.values.ucast_solicit;
        this.#enter("INCOMPLETE");
        this.#startTimer(this.#parms.retransTime);
        this.#hold({ skb, transmit });
        this.#tell(skb, from, "nobody is known to have it: asking");
        this.#probe();
        return;
      case "INCOMPLETE":
        this.#hold({ skb, transmit });
        return this.#tell(skb, from, "waits for the answer");
      case "STALE":
        this.#enter("DELAY");
        this.#startTimer(this.#parms.delayProbeTime);
        break;
      default:
    }
    this.#tell(skb, from, from === "STALE" ? "known but not confirmed: used at once" : "known");
    this.#send({ skb, transmit });
  }

  /** Takes in news about the neighbour. Mirrors net/core/neighbour.c:__neigh_update(). `skb` brought it. */
  update(mac: Mac | undefined, state: NudState, rights: UpdateRights, skb?: SkBuff): void {
    const old = this.state;
    if (rights.admin !== true && (old === "NOARP" || old === "PERMANENT")) return;
    if (!VALID.has(state)) return this.#invalidate(state);
    const wasValid = VALID.has(old);
    const known = wasValid ? this.mac : undefined;
    const given = mac ?? known;
    if (given === undefined) return;
    if (CONNECTED.has(state)) this.confirmed = this.#now;
    const refused = wasValid && given !== known && rights.override !== true;
    // Somebody else claims the address: the known one stays, but is no longer sure.
    const doubts = refused && rights.weakOverride === true && CONNECTED.has(old);
    if (refused && !doubts) return;
    return this.#accept(old, doubts ? (known ?? given) : given, doubts ? "STALE" : state, {
      doubts,
      admin: rights.admin === true,
      skb,
    });
  }

  /** The news count: state and address change as they say. */
  #accept(
    old: NudState,
    next: Mac,
    state: NudState,
    news: { readonly doubts: boolean; readonly admin: boolean; readonly skb: SkBuff | undefined },
  ): void {
    const wasValid = VALID.has(old);
    const known = wasValid ? this.mac : undefined;
    const { skb } = news;
    const staysAsItIs =
      wasValid && next === known && state === "STALE" && !news.admin && !news.doubts;
    const becomes = staysAsItIs ? old : state;
    if (becomes !== old || next !== this.mac) this.updated = this.#now;
    if (next !== this.mac) {
      this.mac = next;
      if (!CONNECTED.has(becomes)) {
        this.confirmed = (this.#now -
          2 * this.#parms.values.base_reachable_time_ms * 1_000) as Micros;
      }
    }
    if (becomes === old) return;
    this.#stopTimer();
    this.#become(becomes);
    if (skb !== undefined) this.#tell(skb, old, `is at ${formatMac(next)}`);
    if (becomes === "DELAY" || becomes === "PROBE") {
      this.probes = 0;
      this.#startTimer(0 as Micros);
    }
    if (!wasValid) this.#release();
  }

  /** Ends the entry: what waits is lost. Mirrors net/core/neighbour.c:neigh_flush_dev(). */
  purge(): void {
    this.#stopTimer();
    this.#become("NONE");
    for (const { skb } of this.#takeQueue()) drop(skb, "QUEUE_PURGE", "neigh_flush_dev");
  }

  /** Mirrors net/core/neighbour.c:neigh_timer_handler(). */
  #timeout(): void {
    const from = this.#state;
    const { values, delayProbeTime, retransTime } = this.#parms;
    if (from === "DELAY") {
      // The kernel's timer for seconds fires a little late: a confirmation of its first moments is too old by then.
      if (later(this.#now, timerSlack) <= later(this.confirmed, delayProbeTime))
        return this.#enter("REACHABLE");
      this.#enter("PROBE");
      this.probes = 0;
    } else {
      const more = from === "PROBE" ? values.mcast_resolicit : values.mcast_solicit;
      if (this.probes >= values.ucast_solicit + values.app_solicit + more)
        return this.#invalidate("FAILED");
    }
    this.#startTimer(retransTime);
    this.#probe();
  }

  /** Mirrors net/core/neighbour.c:neigh_probe(). */
  #probe(): void {
    this.#ops.solicit(this, this.#queue.at(-1)?.skb);
    this.probes++;
  }

  /**
   * The entry no longer has an address; a failed resolution is told to whoever waits. Where that asks for this very neighbour again,
   * telling ends: the question is new, and all that waits is lost, what asked it as well. Mirrors neigh_invalidate().
   */
  #invalidate(state: NudState): void {
    const from = this.state;
    this.#stopTimer();
    this.#enter(state);
    if (state !== "FAILED") return;
    while (this.#state === "FAILED") {
      const next = this.#queue.shift();
      if (next === undefined) break;
      this.#tell(next.skb, from, "no answer");
      this.#ops.errorReport(next.skb);
      drop(next.skb, "NEIGH_FAILED", "neigh_invalidate");
    }
    for (const { skb } of this.#takeQueue()) drop(skb, "QUEUE_PURGE", "neigh_invalidate");
  }

  #send({ skb, transmit }: Waiting): void {
    this.hasHeader = true;
    transmit(skb, this.mac as Mac);
  }

  #release(): void {
    for (const waiting of this.#takeQueue()) {
      this.#tell(waiting.skb, this.#state, "the answer has come");
      this.#send(waiting);
    }
  }

  #hold(waiting: Waiting): void {
    const size = truesize(waiting.skb);
    const limit = this.#parms.values.unres_qlen_bytes;
    while (this.#queueBytes + size > limit) {
      const oldest = this.#queue.shift();
      if (oldest === undefined) break;
      this.#queueBytes -= truesize(oldest.skb);
      drop(oldest.skb, "NEIGH_QUEUEFULL", "__neigh_event_send");
    }
    this.#queue.push(waiting);
    this.#queueBytes += size;
  }

  #takeQueue(): readonly Waiting[] {
    const queue = this.#queue;
    this.#queue = [];
    this.#queueBytes = 0;
    return queue;
  }

  #enter(state: NudState): void {
    this.#become(state);
    this.updated = this.#now;
  }

  #become(state: NudState): void {
    const turns = (this.#state === "FAILED") !== (state === "FAILED");
    this.#state = state;
    if (turns) this.#ops.turned?.(this);
  }

  #startTimer(delay: Micros): void {
    this.#stopTimer();
    const label = `neighbour ${formatIp(this.address)} ${this.#state}`;
    this.#timer = this.dev.ns.sim.timers.after(delay, label, () => this.#timeout());
  }

  #stopTimer(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #tell(skb: SkBuff, from: NudState, why: string): void {
    skb.ns.sim.trace?.(
      told(skb, {
        kind: "neighbour",
        address: formatIp(this.address),
        mac: this.mac === undefined ? undefined : formatMac(this.mac),
        from,
        to: this.#state,
        why,
      }),
    );
  }

  get #now(): Micros {
    return this.dev.ns.sim.queue.now;
  }

  get #parms(): NeighbourParms {
    return this.#ops.parms(this.dev);
  }
}

/** A packet in the queue, and how it goes on. */
interface Waiting {
  readonly skb: SkBuff;
  readonly transmit: (skb: SkBuff, mac: Mac) => void;
}

/**
 * Memory that the kernel counts for a packet: a power of two that holds headroom, data and skb_shared_info, and struct sk_buff.
 * Differs: an estimate; a small packet counts 768 as on 6.18.
 */
function truesize(skb: SkBuff): number {
  const needed = frameLength(skb.frame) + 48 + 320;
  let data = 512;
  while (data < needed) data *= 2;
  return data + 256;
}
