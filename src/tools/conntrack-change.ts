import {
  IPCT_ASSURED,
  IPCT_HELPER,
  IPCT_MARK,
  IPCT_PROTOINFO,
  IPCT_REPLY,
  IPCT_SEQADJ,
  IPS_DST_NAT,
  IPS_DST_NAT_DONE,
  IPS_EXPECTED,
  IPS_SRC_NAT,
  IPS_SRC_NAT_DONE,
  type Tuple,
} from "../core/conntrack.js";
import { type Connection, DEFAULT_ZONE, type Zone } from "../netfilter/conntrack/connection.js";
import type { ConntrackTable } from "../netfilter/conntrack/table.js";
import { pickedUpIn } from "../netfilter/conntrack/tcp-track.js";
import { TCP_STATES } from "../netfilter/conntrack/tcp-states.js";
import { invertTuple, ORIGINAL } from "../netfilter/conntrack/tuple.js";
import { later, seconds } from "../sim/time.js";
import type { IpAddress } from "../wire/ip.js";
import { ConntrackFailure, fail } from "./conntrack-failure.js";
import { type ConntrackRequest, readState } from "./conntrack-options.js";
import { readMark, readNatAddress, readPrefix, readShort, readStatus } from "./conntrack-values.js";

/** What the tool tells the kernel of a change, whatever it is. */
const TOLD = IPCT_REPLY | IPCT_ASSURED | IPCT_HELPER | IPCT_PROTOINFO | IPCT_SEQADJ | IPCT_MARK;

/** `conntrack -I` and `-A`: makes an entry as the options say. True unless it is there already. */
export function createEntry(request: ConntrackRequest, table: ConntrackTable): boolean {
  const { given } = request;
  const original = readTuple(request);
  const state = given.get("--state");
  if (request.protocol === 6 && state === undefined)
    fail("You need to supply the `--state' option for this command");
  const zone = zoneOf(given);
  const reply = replyOf(original, given);
  const status = given.get("--status");
  const { bits } = status === undefined ? { bits: 0 } : readStatus(status);
  if (table.find(original, zone) !== undefined) return false;
  if ((bits & IPS_EXPECTED) !== 0)
    throw new ConntrackFailure("Operation failed: Device or resource busy");
  const entry = table.create(original, reply, zone);
  if (entry === undefined) throw new ConntrackFailure("Operation failed: Cannot allocate memory");
  entry.status = bits | natBits(given);
  entry.timeout = seconds(Number.parseInt(given.get("--timeout") ?? "", 10) || 0);
  const mark = given.get("--mark");
  if (mark !== undefined) entry.inheritMark(readMark(mark).value);
  if (state !== undefined) entry.tcp = pickedUpIn(TCP_STATES.indexOf(knownState(state)));
  entry.events = TOLD;
  table.insert(entry);
  return true;
}

function knownState(text: string): (typeof TCP_STATES)[number] {
  const state = readState(text);
  return TCP_STATES.find((name) => name === state) ?? "NONE";
}

/** The tuple of the original direction; the answers' one may be told instead. */
function readTuple({ given, protocol = 0 }: ConntrackRequest): Tuple {
  const isReply = !given.has("--src") && !given.has("--dst") && given.has("--reply-src");
  const [from, to] = isReply ? ["--reply-src", "--reply-dst"] : ["--src", "--dst"];
  const source = given.get(from ?? "");
  const destination = given.get(to ?? "");
  if (source === undefined || destination === undefined)
    fail("you have to specify `--src' and `--dst'");
  const addresses = {
    source: readPrefix(source).address,
    destination: readPrefix(destination).address,
    protocol,
  };
  const tuple = { ...addresses, ...readPorts(given, protocol, isReply) };
  return isReply ? (invertTuple(tuple) ?? tuple) : tuple;
}

type Ports = Pick<Tuple, "sourcePort" | "destinationPort" | "icmpType" | "icmpCode">;

function readPorts(given: ReadonlyMap<string, string>, protocol: number, isReply: boolean): Ports {
  const number = (name: string): number => {
    const text = given.get(name);
    if (text === undefined) fail(`You need to supply the \`${name}' option for this command`);
    return readShort(text);
  };
  const none = { sourcePort: 0, destinationPort: 0, icmpType: 0, icmpCode: 0 };
  if (protocol === 1 || protocol === 58) {
    const word = protocol === 1 ? "icmp" : "icmpv6";
    return {
      ...none,
      icmpType: number(`--${word}-type`),
      icmpCode: number(`--${word}-code`),
      sourcePort: number(`--${word}-id`),
    };
  }
  if (![6, 17, 33, 132, 136].includes(protocol)) return none;
  const [from, to] = isReply ? ["--reply-port-src", "--reply-port-dst"] : ["--sport", "--dport"];
  const sport = given.get(from ?? "");
  const dport = given.get(to ?? "");
  if (sport === undefined || dport === undefined)
    fail("you have to specify `--sport' and `--dport'");
  return { ...none, sourcePort: readShort(sport), destinationPort: readShort(dport) };
}

/** How answers look: as told, or the other way round with `-n` and `-g`. */
function replyOf(original: Tuple, given: ReadonlyMap<string, string>): Tuple {
  const reply = invertTuple(original);
  if (reply === undefined) throw new ConntrackFailure("Operation failed: Invalid argument");
  const address = (name: string): IpAddress | undefined => {
    const text = given.get(name);
    return text === undefined ? undefined : readPrefix(text).address;
  };
  const port = (name: string): number | undefined => {
    const text = given.get(name);
    return text === undefined ? undefined : readShort(text);
  };
  const nat = (name: string): ReturnType<typeof readNatAddress> | undefined => {
    const text = given.get(name);
    return text === undefined || text === "" ? undefined : readNatAddress(text);
  };
  const source = nat("--src-nat");
  const destination = nat("--dst-nat");
  return {
    ...reply,
    source: destination?.address ?? address("--reply-src") ?? reply.source,
    destination: source?.address ?? address("--reply-dst") ?? reply.destination,
    sourcePort: destination?.port ?? port("--reply-port-src") ?? reply.sourcePort,
    destinationPort: source?.port ?? port("--reply-port-dst") ?? reply.destinationPort,
  };
}

function natBits(given: ReadonlyMap<string, string>): number {
  const isSource = given.has("--src-nat");
  const isDestination = given.has("--dst-nat");
  const done = isSource || isDestination ? IPS_SRC_NAT_DONE | IPS_DST_NAT_DONE : 0;
  return (isSource ? IPS_SRC_NAT : 0) | (isDestination ? IPS_DST_NAT : 0) | done;
}

function zoneOf(given: ReadonlyMap<string, string>): Zone {
  const kinds = [
    ["--zone", 3],
    ["--orig-zone", 1],
    ["--reply-zone", 2],
  ] as const;
  for (const [name, directions] of kinds) {
    const text = given.get(name);
    if (text !== undefined && readShort(text) !== 0) return { id: readShort(text), directions };
  }
  return DEFAULT_ZONE;
}

/** `conntrack -G`: the entry whose original tuple the options tell. Undefined when it is the answers' tuple of one. */
export function findEntry(
  request: ConntrackRequest,
  table: ConntrackTable,
): Connection | undefined {
  const { given } = request;
  if (!given.has("--src") && !given.has("--dst") && given.has("--reply-src"))
    throw new ConntrackFailure("Operation failed: invalid parameters");
  const found = table.find(readTuple(request), zoneOf(given));
  if (found === undefined)
    throw new ConntrackFailure("Operation failed: such conntrack doesn't exist");
  return found.direction === ORIGINAL ? found.connection : undefined;
}

/** `conntrack -U`: changes the entries that fit; gives those that were not so before. */
export function updateEntries(
  request: ConntrackRequest,
  table: ConntrackTable,
): { readonly updated: readonly Connection[]; readonly errors: string } {
  const { given, family, filter } = request;
  const updated: Connection[] = [];
  let errors = "";
  for (const entry of [...table.entries()].filter(filter)) {
    const change = changeOf(entry, given, table);
    if (change === undefined) continue;
    // The tool asks for the entry again by its tuple alone, without a family unless an option told one.
    if (family === undefined) {
      const text = "Operation failed: Operation not supported";
      throw new ConntrackFailure(text, `${text}\n`);
    }
    if (entry.zones.id !== 0) {
      errors += "Operation failed: No such file or directory\n";
      continue;
    }
    change();
    table.report(entry, "UPDATE", TOLD);
    updated.push(entry);
  }
  return { updated, errors };
}

/** What the options change of an entry; undefined when it is as they say already. */
function changeOf(
  entry: Connection,
  given: ReadonlyMap<string, string>,
  table: ConntrackTable,
): (() => void) | undefined {
  const changes: (() => void)[] = [];
  const markText = given.get("--mark");
  if (markText !== undefined) {
    const { value, mask } = readMark(markText);
    const mark = ((entry.mark & ~mask) ^ value) >>> 0;
    if (mark !== entry.mark) changes.push(() => entry.inheritMark(mark));
  }
  const status = given.get("--status");
  const { bits } = status === undefined ? { bits: 0 } : readStatus(status);
  if ((entry.status & bits) !== bits) changes.push(() => (entry.status |= bits));
  const timeout = given.get("--timeout");
  if (timeout !== undefined) {
    const wanted = seconds(Number.parseInt(timeout, 10) || 0);
    changes.push(() => {
      entry.timeout = wanted;
      entry.expires = later(table.now, wanted);
    });
  }
  const state = given.get("--state");
  if (state !== undefined && entry.tcp !== undefined) {
    const { tcp } = entry;
    const wanted = TCP_STATES.indexOf(knownState(state));
    if (tcp.state !== wanted) changes.push(() => (tcp.state = wanted));
  }
  if (changes.length === 0) return undefined;
  return () => {
    for (const change of changes) change();
  };
}
