import type { Errno } from "../core/errno.js";
import type { NetworkNamespace } from "../core/namespace.js";
import type { SkBuff, SocketInfo } from "../core/skbuff.js";
import type { Timer } from "../sim/event-queue.js";
import type { Micros } from "../sim/time.js";
import { type IpAddress, IPV4_ANY } from "../wire/ip.js";
import { familyOf } from "./families.js";
import type { InetFamily, SocketRoute } from "./family.js";
import type { SackBlock } from "./tcp-options.js";
import type { SocketOwner } from "./socket-owner.js";

/** By the names `ss` and the kernel use. */
export type TcpState =
  | "CLOSE"
  | "SYN_SENT"
  | "SYN_RECV"
  | "ESTABLISHED"
  | "FIN_WAIT1"
  | "FIN_WAIT2"
  | "CLOSE_WAIT"
  | "CLOSING"
  | "LAST_ACK"
  | "TIME_WAIT";

/** Where connections wait for the program that listens. Mirrors struct request_sock_queue. */
export interface AcceptQueue {
  readonly backlog: number;
  readonly waiting: Set<TcpConnection>;
  /** Handshakes under way: the SYN queue. */
  readonly requests: Set<TcpConnection>;
  /** When a SYN was last answered with a cookie: an ACK that brings one back is believed for a while after. Mirrors tcp_synq_overflow(). */
  lastCookie: Micros | undefined;
}

/** A run of bytes that a program wrote at once; the last segment of it carries PSH. */
export interface WrittenChunk {
  readonly start: number;
  readonly data: Uint8Array;
  /** What made the program write. */
  readonly cause: SkBuff | undefined;
}

/** A segment that came too early. */
export interface EarlySegment {
  readonly start: number;
  readonly data: Uint8Array;
  readonly fin: boolean;
}

/** A segment under way: it was sent and is not acknowledged. Mirrors struct sk_buff in sk->tcp_rtx_queue. */
export interface SentSegment {
  start: number;
  /** Behind its last byte; FIN counts. */
  end: number;
  fin: boolean;
  /** When it left last, and as the how manyth segment of the connection: a copy counts as what was sent last. */
  sentAt: Micros;
  order: number;
  /** The peer has it, behind a hole. */
  sacked: boolean;
  lost: boolean;
  /** It was lost, and a copy is on its way. */
  resent: boolean;
  /** It was sent more than once. */
  wasResent: boolean;
}

/** What one side of a connection keeps of the way to the other. Mirrors the send half of struct tcp_sock. */
export class SendState {
  /** First byte that is not acknowledged. */
  una = 0;
  /** Behind the last byte that ever left. Mirrors snd_nxt. */
  sent = 0;
  flight: readonly SentSegment[] = [];
  /** Data or a FIN left for the first time since the timer was set. */
  hasFresh = false;
  /** Behind the last segment that was not full. Mirrors snd_sml. */
  small = 0;
  /** Behind the last byte written, without FIN. */
  end = 0;
  chunks: readonly WrittenChunk[] = [];
  finWanted = false;
  finSent = false;
  /** The peer's window in bytes, and the largest it ever was. */
  window = 0;
  maxWindow = 0;
  windowScale = 0;
  /** Segments that may be under way. */
  congestionWindow = 10;
  slowStartThreshold: number = Number.POSITIVE_INFINITY;
  /** Mirrors TCP_CA_Open, TCP_CA_Recovery and TCP_CA_Loss. */
  phase: "open" | "recovery" | "loss" = "open";
  /** Until that is acknowledged the phase lasts. Mirrors high_seq. */
  highSequence = 0;
  /** Of a recovery: the window before it, and the segments that came and were sent again. Mirrors prr_delivered and prr_out. */
  priorWindow = 10;
  deliveredInRecovery = 0;
  resentInRecovery = 0;
  /** Acknowledgments that say nothing new, of a peer without SACK. */
  duplicateAcks = 0;
  /** The segment that left last of those that have come. Mirrors struct tcp_rack. */
  newest: { readonly order: number; readonly roundTrip: number } | undefined;
  /** How many segments with data or a FIN have left. */
  count = 0;
  /** In microseconds. */
  leastRoundTrip: number = Number.POSITIVE_INFINITY;
  /** After that long a segment that has not come is lost. */
  reorderingEnd: Micros | undefined;
  /** What was sent when the last segment was sent once more, in case it was lost. Mirrors tlp_high_seq. */
  lossProbe: { readonly end: number; readonly again: boolean } | undefined;
  /** When something lost was first sent again. Mirrors retrans_stamp. */
  retransmitStamp: Micros | undefined;
  mss = 536;
  /** Round-trip time and its deviation in microseconds; 0 before the first sample. */
  roundTrip = 0;
  deviation = 0;
  timeout: Micros = 1_000_000 as Micros;
  retransmits = 0;
  /** The next segment was refused on this host, by netfilter or routing: it counts as not sent. */
  refused = false;
  /** The packet that last carried the first byte that is not acknowledged. */
  head: SkBuff | undefined;
  /** When the SYN or SYN-ACK left whose answer is timed. */
  timedAt: Micros | undefined;
  timer: Timer | undefined;
  /** The timer that runs is one that `armTimer` may be asked to put off: a loss probe, or the wait for what comes late. */
  waitsFor: "an answer" | "a loss probe" | "a late segment" = "an answer";
  /** The timer that runs waits to ask whether the peer's window has opened. Mirrors ICSK_TIME_PROBE0. */
  isProbing = false;
  /** Questions after a closed window or a silent peer that were not answered yet, and how often their distance doubled. */
  probes = 0;
  probeBackoff = 0;
}

/** Mirrors the receive half of struct tcp_sock. */
export class ReceiveState {
  next = 0;
  /** What was acknowledged last. Mirrors rcv_wup. */
  acknowledged = 0;
  /** In bytes. */
  window = 0;
  windowScale = 0;
  recentTimestamp = 0;
  /** The largest segment seen; more than one of it is acknowledged at once. */
  mss = 536;
  early: readonly EarlySegment[] = [];
  /** What came behind a hole, the latest first. Mirrors selective_acks. */
  blocks: readonly SackBlock[] = [];
  /** Bytes that came a second time, until that is told. Mirrors duplicate_sack. */
  duplicate: SackBlock | undefined;
  /** The next answer is due at once. Mirrors ICSK_ACK_NOW. */
  answerNow = false;
  finReceived = false;
  /** How many more answers are given without waiting. Mirrors icsk_ack.quick. */
  quick = 0;
  /** How long an answer may wait, in microseconds; 0 before the first data. Mirrors icsk_ack.ato. */
  ackTimeout = 0;
  pingPong = 0;
  lastData: Micros = 0 as Micros;
  /** When an acknowledgment last came. Mirrors rcv_tstamp. */
  lastAck: Micros = 0 as Micros;
  /** The segment an answer is due for. */
  ackCause: SkBuff | undefined;
  ackTimer: Timer | undefined;
  /** When an answer to something out of order was last given. */
  lastChallenge: Micros | undefined;
}

/** One end of a TCP connection. Its fields are changed by the `tcp-*` files alone. Mirrors struct tcp_sock. */
export class TcpConnection {
  readonly protocol: "tcp" = "tcp" as const;
  readonly ns: NetworkNamespace;
  readonly owner: SocketOwner;
  state: TcpState = "CLOSE";
  localAddress: IpAddress = IPV4_ANY;
  localPort = 0;
  remoteAddress: IpAddress = IPV4_ANY;
  remotePort = 0;
  ttl: number | undefined;
  tos = 0;
  /** The error that ended the connection, or with which connect() failed at once. */
  error: Errno | undefined;
  /** What an ICMP message said meanwhile: told only when the connection times out. Mirrors sk->sk_err_soft. */
  softError: Errno | undefined;
  onConnected: (() => void) | undefined;
  onData: ((data: Uint8Array) => void) | undefined;
  /** The peer sends no more (FIN). */
  onClose: (() => void) | undefined;
  onError: ((errno: Errno) => void) | undefined;

  initialSequence = 0;
  readonly out: SendState = new SendState();
  readonly in: ReceiveState = new ReceiveState();
  timestamps = false;
  timestampOffset = 0;
  /** The timestamps of the first and the last SYN-ACK that a passive end sent. Mirrors snt_tsval_first and snt_tsval_last. */
  synAckTimestamps: readonly [first: number, last: number] | undefined;
  sackPermitted = false;
  advertisedMss = 0;
  /** Bytes that came while nobody read: closing then resets. */
  unread = 0;
  /** SO_KEEPALIVE. */
  keepAlive = false;
  keepAliveTimer: Timer | undefined;
  /** The program let go of it. Mirrors SOCK_DEAD. */
  orphaned = false;
  /** False when only as much is kept as late segments need. Mirrors struct tcp_timewait_sock. */
  hasSocket = true;
  route: SocketRoute | undefined;
  ipId = 0;
  /** The peer answered: what is sent next tells the neighbour entry. Mirrors sk_dst_pending_confirm. */
  confirmPending = false;
  info: SocketInfo | undefined;
  /** Called once when a passive connection is established. */
  accept: ((connection: TcpConnection) => void) | undefined;
  /** Whose SYN queue a passive connection is in, until it is established. */
  acceptQueue: AcceptQueue | undefined;
  /** When the program last had it send something: by connect(), send(), shutdown() or close(). */
  calledAt: Micros | undefined;
  /** The segment that is being looked at: what is sent meanwhile answers it. */
  current: SkBuff | undefined;
  /** What came while a call of the program holds the socket; undefined while none does. Mirrors sk_backlog. */
  backlog: (() => void)[] | undefined;
  readonly #operations: TcpOperations;

  constructor(ns: NetworkNamespace, owner: SocketOwner, operations: TcpOperations) {
    this.ns = ns;
    this.owner = owner;
    this.#operations = operations;
  }

  get family(): InetFamily {
    return familyOf(this.remoteAddress);
  }

  get local(): { readonly address: IpAddress; readonly port: number } {
    return { address: this.localAddress, port: this.localPort };
  }

  get remote(): { readonly address: IpAddress; readonly port: number } {
    return { address: this.remoteAddress, port: this.remotePort };
  }

  /** Queues bytes; EPIPE after close(). `cause` is the packet that made the program write. */
  send(data: Uint8Array, cause?: SkBuff): Errno | undefined {
    return this.#operations.send(this, data, cause);
  }

  /** Sends no more but still reads (SHUT_WR). */
  shutdown(): void {
    this.#operations.shutdown(this);
  }

  /** Lets go of the connection: FIN after what was written, or a reset when something was not read. */
  close(): void {
    this.#operations.close(this);
  }

  /** Resets the connection (SO_LINGER 0). */
  abort(): void {
    this.#operations.abort(this);
  }
}

/** What a connection can be asked to do; given by `tcp-socket.ts`. */
export interface TcpOperations {
  send(connection: TcpConnection, data: Uint8Array, cause: SkBuff | undefined): Errno | undefined;
  shutdown(connection: TcpConnection): void;
  close(connection: TcpConnection): void;
  abort(connection: TcpConnection): void;
}
