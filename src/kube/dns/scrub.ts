import { encodeDns } from "../../wire/dns.js";
import type { DnsMessage, Edns } from "../../wire/dns-message.js";
import { sizeLimit } from "./messages.js";
import type { Query } from "./plugin.js";

export interface Scrubbed {
  readonly message: DnsMessage;
  readonly compress: boolean;
}

/** Options that an OPT record may be sent back with: NSID, EXPIRE, COOKIE, TCP-KEEPALIVE, PADDING. */
const echoedOptions: ReadonlySet<number> = new Set([3, 9, 10, 11, 12]);

/**
 * Makes a reply fit its client: the OPT record answers the client's, what is too long is cut and marked TC.
 * `codes` are further option codes that `rewrite` made known. Mirrors request.Request.SizeAndDo() and Scrub().
 */
export function scrub(query: Query, reply: DnsMessage, codes: ReadonlySet<number>): Scrubbed {
  const message = { ...reply, edns: replyEdns(query.message.edns, reply.edns, codes) };
  const limit = sizeLimit(query);
  const { length } = encodeDns(message, { compress: false });
  if (length <= limit)
    return { message, compress: query.client.proto === "udp" && length > mtuOf(query) };
  return { message: truncate(message, limit), compress: true };
}

function replyEdns(
  request: Edns | undefined,
  reply: Edns | undefined,
  codes: ReadonlySet<number>,
): Edns | undefined {
  if (request === undefined) return reply;
  if (reply !== undefined)
    return { ...reply, version: 0, udpSize: request.udpSize, do: reply.do || request.do };
  const options = request.options.filter(
    (option) => echoedOptions.has(option.code) || codes.has(option.code),
  );
  return { udpSize: request.udpSize, version: 0, do: request.do, options };
}

/** Longer messages are compressed. */
function mtuOf(query: Query): number {
  return query.client.address.includes(":") ? 1220 : 1480;
}

/** Keeps as many records, answers first, as fit. */
function truncate(message: DnsMessage, limit: number): DnsMessage {
  const total = message.answers.length + message.authorities.length + message.additionals.length;
  const fits = (count: number): boolean => encodeDns(firstRecords(message, count)).length <= limit;
  if (fits(total)) return message;
  let low = 0;
  let high = total;
  while (low + 1 < high) {
    const middle = (low + high) >> 1;
    if (fits(middle)) low = middle;
    else high = middle;
  }
  return { ...firstRecords(message, low), tc: true };
}

function firstRecords(message: DnsMessage, count: number): DnsMessage {
  const { answers, authorities, additionals } = message;
  const afterAnswers = Math.max(0, count - answers.length);
  return {
    ...message,
    answers: answers.slice(0, count),
    authorities: authorities.slice(0, afterAnswers),
    additionals: additionals.slice(0, Math.max(0, afterAnswers - authorities.length)),
  };
}
