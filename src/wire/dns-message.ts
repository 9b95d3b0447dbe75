/**
 * A DNS message as a value, shared by the codec (`wire/dns.ts`), the servers and the resolvers.
 *
 * Names are absolute, in presentation form, with the letter case of the wire: `web.shop.svc.cluster.local.`; the root is
 * `.`; a dot or backslash inside a label is escaped (`\.`, `\\`), other unusual bytes are `\DDD`. Types and classes are
 * their mnemonics; unknown ones are `TYPE65400` and `CLASS7` (RFC 3597).
 */
export interface DnsQuestion {
  readonly name: string;
  readonly type: string;
  readonly class: string;
}

/** One resource record. `data` is its RDATA in presentation form, one space between fields, names absolute: `10 mail.example.org.`. */
export interface DnsRecord {
  readonly name: string;
  readonly type: string;
  readonly class: string;
  /** Seconds, 0..2^31-1. */
  readonly ttl: number;
  readonly data: string;
}

export interface EdnsOption {
  readonly code: number;
  readonly data: Uint8Array;
}

/** The OPT record of a message, which is never among `additionals`. RFC 6891. */
export interface Edns {
  /** The UDP payload size the sender can take. */
  readonly udpSize: number;
  readonly version: number;
  /** DNSSEC OK. */
  readonly do: boolean;
  readonly options: readonly EdnsOption[];
}

export interface DnsMessage {
  readonly id: number;
  /** 0 QUERY, 4 NOTIFY, 5 UPDATE. */
  readonly opcode: number;
  readonly qr: boolean;
  readonly aa: boolean;
  readonly tc: boolean;
  readonly rd: boolean;
  readonly ra: boolean;
  readonly ad: boolean;
  readonly cd: boolean;
  /** `NOERROR`, `NXDOMAIN`, …; codes over 15 (`BADVERS`) take their high bits from the OPT record. Unknown ones are `RCODE23`. */
  readonly rcode: string;
  readonly questions: readonly DnsQuestion[];
  readonly answers: readonly DnsRecord[];
  readonly authorities: readonly DnsRecord[];
  readonly additionals: readonly DnsRecord[];
  readonly edns: Edns | undefined;
}

/** Response codes by number, as the IANA registry and CoreDNS write them. */
export const RCODES: ReadonlyMap<string, number> = new Map([
  ["NOERROR", 0],
  ["FORMERR", 1],
  ["SERVFAIL", 2],
  ["NXDOMAIN", 3],
  ["NOTIMP", 4],
  ["REFUSED", 5],
  ["YXDOMAIN", 6],
  ["YXRRSET", 7],
  ["NXRRSET", 8],
  ["NOTAUTH", 9],
  ["NOTZONE", 10],
  ["BADVERS", 16],
  ["BADKEY", 17],
  ["BADTIME", 18],
  ["BADMODE", 19],
  ["BADNAME", 20],
  ["BADALG", 21],
  ["BADTRUNC", 22],
  ["BADCOOKIE", 23],
]);
