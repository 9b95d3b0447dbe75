import {
  SCTP_ABORT,
  SCTP_COOKIE_ACK,
  SCTP_COOKIE_ECHO,
  SCTP_ERROR,
  SCTP_HEARTBEAT,
  SCTP_HEARTBEAT_ACK,
  SCTP_INIT,
  SCTP_INIT_ACK,
  SCTP_SHUTDOWN,
  SCTP_SHUTDOWN_ACK,
  SCTP_SHUTDOWN_COMPLETE,
} from "../../wire/sctp.js";
import { type Direction, ORIGINAL } from "./tuple.js";

/** States of a tracked association, as `conntrack -L` prints them. Mirrors enum sctp_conntrack. */
export const SCTP_STATES = [
  "NONE",
  "CLOSED",
  "COOKIE_WAIT",
  "COOKIE_ECHOED",
  "ESTABLISHED",
  "SHUTDOWN_SENT",
  "SHUTDOWN_RECD",
  "SHUTDOWN_ACK_SENT",
  "HEARTBEAT_SENT",
] as const;
export type SctpState = (typeof SCTP_STATES)[number];

/** The names of the columns and of what stands in them; IV is invalid. */
const SHORT: Readonly<Record<string, SctpState>> = {
  NO: "NONE",
  CL: "CLOSED",
  CW: "COOKIE_WAIT",
  CE: "COOKIE_ECHOED",
  ES: "ESTABLISHED",
  SS: "SHUTDOWN_SENT",
  SR: "SHUTDOWN_RECD",
  SA: "SHUTDOWN_ACK_SENT",
  HS: "HEARTBEAT_SENT",
};

/**
 * The next state by direction, chunk and state (columns in the order of SCTP_STATES). Mirrors
 * net/netfilter/nf_conntrack_proto_sctp.c:sctp_conntracks.
 *
 *          NO CL CW CE ES SS SR SA HS
 */
const ORIGINAL_ROWS: ReadonlyMap<number, string> = new Map([
  [SCTP_INIT, "CL CL CW CE ES CL CL SA CW"],
  [SCTP_INIT_ACK, "CL CL CW CE ES SS SR SA CL"],
  [SCTP_ABORT, "CL CL CL CL CL CL CL CL CL"],
  [SCTP_SHUTDOWN, "CL CL CW CE SS SS SR SA CL"],
  [SCTP_SHUTDOWN_ACK, "SA CL CW CE ES SA SA SA SA"],
  [SCTP_ERROR, "CL CL CW CE ES SS SR SA CL"],
  [SCTP_COOKIE_ECHO, "CL CL CE CE ES SS SR SA CL"],
  [SCTP_COOKIE_ACK, "CL CL CW ES ES SS SR SA CL"],
  [SCTP_SHUTDOWN_COMPLETE, "CL CL CW CE ES SS SR CL CL"],
  [SCTP_HEARTBEAT, "HS CL CW CE ES SS SR SA HS"],
  [SCTP_HEARTBEAT_ACK, "CL CL CW CE ES SS SR SA HS"],
]);
const REPLY_ROWS: ReadonlyMap<number, string> = new Map([
  [SCTP_INIT, "IV CL CW CE ES SS SR SA IV"],
  [SCTP_INIT_ACK, "IV CW CW CE ES SS SR SA IV"],
  [SCTP_ABORT, "IV CL CL CL CL CL CL CL IV"],
  [SCTP_SHUTDOWN, "IV CL CW CE SR SS SR SA IV"],
  [SCTP_SHUTDOWN_ACK, "IV CL CW CE ES SA SA SA IV"],
  [SCTP_ERROR, "IV CL CW CL ES SS SR SA IV"],
  [SCTP_COOKIE_ECHO, "IV CL CE CE ES SS SR SA IV"],
  [SCTP_COOKIE_ACK, "IV CL CW ES ES SS SR SA IV"],
  [SCTP_SHUTDOWN_COMPLETE, "IV CL CW CE ES SS SR CL IV"],
  [SCTP_HEARTBEAT, "IV CL CW CE ES SS SR SA HS"],
  [SCTP_HEARTBEAT_ACK, "IV CL CW CE ES SS SR SA ES"],
]);

/** Where a chunk takes an association; undefined when it does not belong there. Others change nothing. Mirrors sctp_new_state(). */
export function nextSctpState(
  direction: Direction,
  state: SctpState,
  chunk: number,
): SctpState | undefined {
  const row = (direction === ORIGINAL ? ORIGINAL_ROWS : REPLY_ROWS).get(chunk);
  if (row === undefined) return state;
  const column = SCTP_STATES.indexOf(state);
  return SHORT[row.slice(column * 3, column * 3 + 2)];
}
