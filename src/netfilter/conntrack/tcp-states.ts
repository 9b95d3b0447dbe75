/** States of a tracked TCP connection, as `conntrack -L` prints them. Mirrors enum tcp_conntrack; the order carries meaning. */
export const TCP_STATES = [
  "NONE",
  "SYN_SENT",
  "SYN_RECV",
  "ESTABLISHED",
  "FIN_WAIT",
  "CLOSE_WAIT",
  "LAST_ACK",
  "TIME_WAIT",
  "CLOSE",
  "SYN_SENT2",
] as const;

export const TCP_NONE = 0;
export const TCP_SYN_SENT = 1;
export const TCP_SYN_RECV = 2;
export const TCP_ESTABLISHED = 3;
export const TCP_FIN_WAIT = 4;
export const TCP_CLOSE_WAIT = 5;
export const TCP_LAST_ACK = 6;
export const TCP_TIME_WAIT = 7;
export const TCP_CLOSE = 8;
export const TCP_SYN_SENT2 = 9;
/** The segment does not belong here. */
export const TCP_INVALID = 10;
/** The segment may pass and changes nothing. */
export const TCP_IGNORE = 11;

/** What kind of segment it is, by its flags. Mirrors enum tcp_bit_set. */
export const SEGMENTS = ["syn", "synack", "fin", "ack", "rst", "none"] as const;
export type Segment = (typeof SEGMENTS)[number];

/**
 * The next state by direction, segment and state (columns in the order of TCP_STATES).
 * IV is invalid, IG ignored. Mirrors net/netfilter/nf_conntrack_proto_tcp.c:tcp_conntracks.
 *
 *          NO SS SR ES FW CW LA TW CL S2
 */
const ORIGINAL_ROWS: Readonly<Record<Segment, string>> = {
  syn: "   SS SS IG IG IG IG IG SS SS S2",
  synack: "IV IV SR IV IV IV IV IV IV SR",
  fin: "   IV IV FW FW LA LA LA TW CL IV",
  ack: "   ES IV ES ES CW CW TW TW CL IV",
  rst: "   IV CL CL CL CL CL CL CL CL CL",
  none: "  IV IV IV IV IV IV IV IV IV IV",
};

const REPLY_ROWS: Readonly<Record<Segment, string>> = {
  syn: "   IV S2 IV IV IV IV IV SS IV S2",
  synack: "IV SR IG IG IG IG IG IG IG SR",
  fin: "   IV IV FW FW LA LA LA TW CL IV",
  ack: "   IV IG SR ES CW CW TW TW CL IG",
  rst: "   IV CL CL CL CL CL CL CL CL CL",
  none: "  IV IV IV IV IV IV IV IV IV IV",
};

const CODES = ["NO", "SS", "SR", "ES", "FW", "CW", "LA", "TW", "CL", "S2", "IV", "IG"];

type Rows = Readonly<Record<Segment, readonly number[]>>;

const NEXT: readonly [Rows, Rows] = [compile(ORIGINAL_ROWS), compile(REPLY_ROWS)];

/** The state after a segment, TCP_INVALID or TCP_IGNORE. */
export function nextTcpState(direction: 0 | 1, segment: Segment, state: number): number {
  return NEXT[direction][segment][state] ?? TCP_INVALID;
}

function compile(rows: Readonly<Record<Segment, string>>): Rows {
  const row = (segment: Segment): readonly number[] =>
    rows[segment]
      .trim()
      .split(" ")
      .map((code) => CODES.indexOf(code));
  return {
    syn: row("syn"),
    synack: row("synack"),
    fin: row("fin"),
    ack: row("ack"),
    rst: row("rst"),
    none: row("none"),
  };
}
