import {
  type ConntrackCounter,
  type ConntrackEntry,
  type ConntrackRef,
  IPCT_MARK,
  IPS_CONFIRMED,
  IPS_DYING,
  IPS_TEMPLATE,
  type Tuple,
} from "../../core/conntrack.js";
import type { SkBuff } from "../../core/skbuff.js";
import type { ConntrackSnapshot } from "../../core/trace.js";
import type { Micros } from "../../sim/time.js";
import { type IpAddress, IPV4_ANY } from "../../wire/ip.js";
import { type Extensions, noExtensions } from "./extensions.js";
import type { SctpTrack } from "./sctp.js";
import type { TcpTrack } from "./tcp-track.js";
import { TCP_STATES } from "./tcp-states.js";
import { type Direction, ORIGINAL, REPLY } from "./tuple.js";

/** Keeps entries apart that would otherwise be one. `directions`: bit 0 original, bit 1 reply. Mirrors struct nf_conntrack_zone. */
export interface Zone {
  readonly id: number;
  readonly directions: number;
  /** `--zone mark`: the id is the packet's mark. Of templates alone. */
  readonly fromMark?: true | undefined;
}

export const DEFAULT_ZONE: Zone = { id: 0, directions: 3 };

/** The zone that counts in a direction. Mirrors nf_ct_zone_id(). */
export function zoneIdIn(zone: Zone, direction: Direction): number {
  return ((zone.directions >> direction) & 1) === 1 ? zone.id : 0;
}

/** One direction of a connection, and its place in the hash table. Mirrors struct nf_conntrack_tuple_hash. */
export class TupleHash {
  readonly connection: Connection;
  readonly direction: Direction;
  tuple: Tuple;
  hash = 0;
  next: TupleHash | undefined;

  constructor(connection: Connection, direction: Direction, tuple: Tuple) {
    this.connection = connection;
    this.direction = direction;
    this.tuple = tuple;
  }
}

/** A tracked connection. Changed by `netfilter/conntrack` and `netfilter/nat`. Mirrors struct nf_conn. */
export class Connection implements ConntrackEntry {
  readonly id: number;
  readonly zones: Zone;
  readonly originalHash: TupleHash;
  readonly replyHash: TupleHash;
  status = 0;
  /** The last timeout it was given; starts to run when the entry is confirmed. */
  timeout: Micros = 0 as Micros;
  expires: Micros = 0 as Micros;
  master: Connection | undefined;
  tcp: TcpTrack | undefined;
  sctp: SctpTrack | undefined;
  /** UDP and GRE: from when on two-way traffic is a stream. */
  streamAfter: Micros = 0 as Micros;
  counters: { readonly original: ConntrackCounter; readonly reply: ConntrackCounter } | undefined;
  /** What happened since the last event was told: IPCT_* bits. */
  events = 0;
  /** Parts that few connections have. */
  ext: Extensions | undefined;
  /** The device whose address MASQUERADE chose; 0 for none. */
  masqueradeIfindex = 0;
  /** The next entry in NAT's list of the same source. */
  nextBySource: Connection | undefined;
  #mark = 0;

  constructor(id: number, original: Tuple, reply: Tuple, zones: Zone) {
    this.id = id;
    this.zones = zones;
    this.originalHash = new TupleHash(this, ORIGINAL, original);
    this.replyHash = new TupleHash(this, REPLY, reply);
  }

  get original(): Tuple {
    return this.originalHash.tuple;
  }

  get reply(): Tuple {
    return this.replyHash.tuple;
  }

  /** NAT's alone: how answers will look. Mirrors nf_conntrack_alter_reply(). */
  set reply(tuple: Tuple) {
    this.replyHash.tuple = tuple;
  }

  tuple(direction: Direction): Tuple {
    return direction === ORIGINAL ? this.originalHash.tuple : this.replyHash.tuple;
  }

  /** As it is now, for a record: what happens to the connection later does not change it. */
  frozen(): Connection {
    const copy = new Connection(this.id, this.original, this.reply, this.zones);
    const { status, timeout, expires, master, tcp, sctp, counters, ext } = this;
    Object.assign(copy, { status, timeout, expires, master });
    if (tcp !== undefined) copy.tcp = Object.assign(Object.create(tcp), { state: tcp.state });
    if (sctp !== undefined) copy.sctp = Object.assign(Object.create(sctp), { state: sctp.state });
    if (counters !== undefined)
      copy.counters = { original: { ...counters.original }, reply: { ...counters.reply } };
    copy.ext = ext === undefined ? undefined : { ...ext };
    copy.#mark = this.#mark;
    return copy;
  }

  get mark(): number {
    return this.#mark;
  }

  set mark(value: number) {
    if (value === this.#mark) return;
    this.#mark = value;
    this.events |= IPCT_MARK;
  }

  /** A mark that it has from its beginning, which is no event. */
  inheritMark(value: number): void {
    this.#mark = value;
  }

  /** Its extensions, made when there are none yet. Mirrors nf_ct_ext_add(). */
  extend(): Extensions {
    this.ext ??= noExtensions();
    return this.ext;
  }

  get zone(): number {
    return this.zones.id;
  }

  get state(): string | undefined {
    return this.tcp === undefined ? this.sctp?.state : TCP_STATES[this.tcp.state];
  }

  get confirmed(): boolean {
    return (this.status & IPS_CONFIRMED) !== 0;
  }

  get dying(): boolean {
    return (this.status & IPS_DYING) !== 0;
  }
}

/** The packet's connection; undefined for packets that are invalid, untracked or not looked at, and for templates. */
export function connectionOf(skb: SkBuff): Connection | undefined {
  const entry = skb.ct?.entry;
  return entry instanceof Connection && (entry.status & IPS_TEMPLATE) === 0 ? entry : undefined;
}

/** The template that `-j CT` left on the packet. */
export function templateOf(skb: SkBuff): Connection | undefined {
  const entry = skb.ct?.entry;
  return entry instanceof Connection && (entry.status & IPS_TEMPLATE) !== 0 ? entry : undefined;
}

/** The zone that a template gives a packet. Mirrors nf_ct_zone_tmpl(). */
export function zoneOfTemplate({ zones }: Connection, skb: SkBuff): Zone {
  if (zones.fromMark !== true) return zones;
  return { id: skb.mark & 0xffff, directions: zones.directions };
}

/** What `-j CT` puts on a packet before conntrack sees it. Make it once, with the rule. Mirrors nf_ct_tmpl_alloc(). */
export function conntrackTemplate(zone: Zone, ext?: Extensions): ConntrackRef {
  const entry = new Connection(0, NO_TUPLE, NO_TUPLE, zone);
  entry.ext = ext;
  entry.status = IPS_TEMPLATE | IPS_CONFIRMED;
  return { entry, info: "NEW" };
}

/** The entry as it is now, for a trace. */
export function snapshot(entry: ConntrackEntry): ConntrackSnapshot {
  const { id, original, reply, status, state, mark } = entry;
  return { id, original, reply, status, state, mark };
}

const ANY: IpAddress = IPV4_ANY;
const NO_TUPLE: Tuple = {
  source: ANY,
  destination: ANY,
  protocol: 0,
  sourcePort: 0,
  destinationPort: 0,
  icmpType: 0,
  icmpCode: 0,
};
