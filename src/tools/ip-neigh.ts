import type { NetDevice } from "../core/device.js";
import {
  formatNeighbour,
  type NeighbourTable,
  neighbours,
  neighbours6,
} from "../inet/neighbour.js";
import type { Neighbour, NudState } from "../inet/neighbour-entry.js";
import { formatIp, type IpAddress, type IpPrefix, ipPrefixContains, type Mac } from "../wire/ip.js";
import { notModelled, rtnetlink, ToolFailure } from "./failure.js";
import {
  deviceOf,
  type IpContext,
  isAboutIpv6,
  namespaceOf,
  readAddress,
  readAddress6,
  readMac,
  readPrefix,
  readPrefix6,
} from "./ip-context.js";
import { abbreviates, chooseCommand, garbage, type Words, wrongArgument } from "./words.js";

type Command = (words: Words, context: IpContext) => string;
type Verb = "add" | "change" | "replace" | "delete";

const COMMANDS: readonly (readonly [string, Command])[] = [
  ["show", show],
  ["lst", show],
  ["list", show],
  ["add", (words, context) => change(words, context, "add")],
  ["change", (words, context) => change(words, context, "change")],
  ["chg", (words, context) => change(words, context, "change")],
  ["replace", (words, context) => change(words, context, "replace")],
  ["delete", (words, context) => change(words, context, "delete")],
  ["flush", flush],
];

const STATES: Readonly<Record<string, NudState>> = {
  permanent: "PERMANENT",
  reachable: "REACHABLE",
  noarp: "NOARP",
  none: "NONE",
  stale: "STALE",
  incomplete: "INCOMPLETE",
  delay: "DELAY",
  probe: "PROBE",
  failed: "FAILED",
};

/** `ip neigh`. */
export function ipNeighbour(words: Words, context: IpContext): string {
  return chooseCommand(COMMANDS, words.shift(), "ip neigh help")(words, context);
}

interface Asked<A extends IpAddress> {
  readonly dev: NetDevice;
  readonly address: A;
  readonly router: boolean;
  readonly mac: Mac | undefined;
  readonly state: NudState;
  readonly proxy: boolean;
}

/** Mirrors iproute2's ipneigh_modify() and net/core/neighbour.c:neigh_add(). */
function change(words: Words, context: IpContext, verb: Verb): string {
  if (!isAboutIpv6(words, context)) {
    const asked = readSpec(words, context, readAddress);
    return changeIn(neighbours(asked.dev.ns), asked, verb);
  }
  const asked = readSpec(words, context, readAddress6);
  return changeIn(neighbours6(asked.dev.ns), asked, verb);
}

function changeIn<A extends IpAddress>(
  table: NeighbourTable<A>,
  asked: Asked<A>,
  verb: Verb,
): string {
  const { dev, address, mac, state } = asked;
  if (asked.proxy) return changeProxy(table, asked, verb);
  const known = table.lookup(dev, address);
  if (verb === "delete") {
    if (known === undefined) throw rtnetlink("No such file or directory");
    table.remove(known);
    return "";
  }
  if (known === undefined && verb === "change") throw rtnetlink("No such file or directory");
  if (known !== undefined && verb === "add") throw rtnetlink("File exists");
  const neighbour = known ?? table.obtain(dev, address);
  if (neighbour === undefined) throw rtnetlink("No buffer space available");
  if (mac === undefined && !neighbour.isValid && isValidState(state)) {
    // The entry stays, in no state: the next `add` finds it there.
    throw rtnetlink("Error: No link layer address given.");
  }
  neighbour.update(mac, state, { override: verb !== "add" || known === undefined, admin: true });
  neighbour.isRouter = asked.router;
  return "";
}

function isValidState(state: NudState): boolean {
  return state !== "NONE" && state !== "INCOMPLETE" && state !== "FAILED";
}

function changeProxy<A extends IpAddress>(
  table: NeighbourTable<A>,
  { dev, address }: Asked<A>,
  verb: Verb,
): string {
  if (verb !== "delete") table.addProxy(dev, address);
  else if (!table.removeProxy(dev, address)) throw rtnetlink("No such file or directory");
  return "";
}

function readSpec<A extends IpAddress>(
  words: Words,
  context: IpContext,
  read: (word: string) => A,
): Asked<A> {
  let address: A | undefined;
  let router = false;
  let mac: Mac | undefined;
  let name: string | undefined;
  let state: NudState = "PERMANENT";
  let proxy = false;
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (word === "lladdr") mac = readMac(words.value());
    else if (word === "nud") state = readState(words.value());
    else if (word === "dev") name = words.value();
    else if (word === "router") router = true;
    else if (OTHER_WORDS.includes(word)) throw notModelled("ip", `ip neigh … ${word}`);
    else {
      if (word === "proxy") proxy = true;
      const given = word === "proxy" || word === "to" ? words.value() : word;
      if (address !== undefined) throw garbage("to", given);
      address = read(given);
    }
  }
  if (name === undefined || address === undefined)
    throw new ToolFailure(255, "Device and destination are required arguments.\n");
  return { dev: deviceOf(namespaceOf(context), name), address, mac, state, proxy, router };
}

const OTHER_WORDS: readonly string[] = [
  "extern_learn",
  "managed",
  "use",
  "protocol",
  "vni",
  "nhid",
];

function readState(word: string): NudState {
  const state = STATES[word];
  if (state === undefined) throw wrongArgument(word, "nud state is bad");
  return state;
}

/** Which entries a `show` or `flush` is about. */
interface Filter {
  readonly dev: NetDevice | undefined;
  readonly prefix: IpPrefix | undefined;
  readonly states: ReadonlySet<NudState> | undefined;
  readonly proxy: boolean;
}

function show(words: Words, context: IpContext): string {
  const filter = readFilter(words, context);
  const ns = namespaceOf(context);
  const shown4 = context.inet6Only ? "" : shown(neighbours(ns), filter);
  return shown4 + (context.inetOnly ? "" : shown(neighbours6(ns), filter));
}

function shown<A extends IpAddress>(table: NeighbourTable<A>, filter: Filter): string {
  if (filter.proxy) {
    return table
      .listProxies()
      .filter(({ dev, address }) => selects(filter, dev, address))
      .map(({ dev, address }) => `${formatIp(address)} dev ${dev.name} proxy \n`)
      .join("");
  }
  return chosen(table, filter, (state) => state !== "NONE" && state !== "NOARP")
    .map((neighbour) => `${formatNeighbour(neighbour, filter.dev === undefined)}\n`)
    .join("");
}

/** Permanent entries stay unless they are asked for. */
function flush(words: Words, context: IpContext): string {
  if (words.isEmpty) throw new ToolFailure(1, "Flush requires arguments.\n");
  const filter = readFilter(words, context);
  const ns = namespaceOf(context);
  if (!context.inet6Only) flushIn(neighbours(ns), filter);
  if (!context.inetOnly) flushIn(neighbours6(ns), filter);
  return "";
}

function flushIn<A extends IpAddress>(table: NeighbourTable<A>, filter: Filter): void {
  const byDefault = (state: NudState): boolean => state !== "PERMANENT" && state !== "NOARP";
  for (const neighbour of chosen(table, filter, byDefault)) table.remove(neighbour);
}

function readFilter(words: Words, context: IpContext): Filter {
  const ns = namespaceOf(context);
  let dev: NetDevice | undefined;
  let prefix: IpPrefix | undefined;
  let states: Set<NudState> | undefined;
  let proxy = false;
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (word === "dev") dev = deviceOf(ns, words.value());
    else if (word === "proxy") proxy = true;
    else if (word === "nud") {
      const name = words.value();
      states ??= new Set();
      for (const state of name === "all" ? Object.values(STATES) : [readState(name)])
        states.add(state);
    } else if (["unused", "vrf", "nomaster", "master"].includes(word))
      throw notModelled("ip", `ip neigh show ${word}`);
    else {
      const given = abbreviates(word, "to") ? words.value() : word;
      prefix = given.includes(":") ? readPrefix6(given) : readPrefix(given);
    }
  }
  return { dev, prefix, states, proxy };
}

function chosen<A extends IpAddress>(
  table: NeighbourTable<A>,
  filter: Filter,
  byDefault: (state: NudState) => boolean,
): readonly Neighbour<A>[] {
  return table.list().filter(({ dev, address, state }) => {
    const stateFits = filter.states === undefined ? byDefault(state) : filter.states.has(state);
    return stateFits && selects(filter, dev, address);
  });
}

function selects({ dev, prefix }: Filter, candidate: NetDevice, address: IpAddress): boolean {
  return (
    (dev === undefined || dev === candidate) &&
    (prefix === undefined || ipPrefixContains(prefix, address))
  );
}
