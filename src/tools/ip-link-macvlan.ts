import type { NetDevice } from "../core/device.js";
import type { NetworkNamespace } from "../core/namespace.js";
import { allocateMac } from "../link/mac.js";
import {
  Macvlan,
  MACVLAN_FLAGS,
  MACVLAN_MODES,
  type MacvlanFlag,
  type MacvlanMode,
  macvlanPorts,
} from "../link/macvlan.js";
import { formatMac, isMulticastMac, type Mac, MAC_ZERO, parseMac } from "../wire/ip.js";
import { notModelled, rtnetlink, ToolFailure } from "./failure.js";
import { type IpContext, namespaceOf } from "./ip-context.js";
import type { LinkArgs } from "./ip-link-args.js";
import { abbreviates, parseNumber, type Words } from "./words.js";

/** `ip link add NAME link DEV type macvlan [mode MODE] …`. Mirrors drivers/net/macvlan.c:macvlan_common_newlink(). */
export function makeMacvlan(
  identity: { readonly name: string; readonly ns: NetworkNamespace },
  { link, mac, mtu }: LinkArgs,
  words: Words,
  context: IpContext,
): Macvlan {
  const asked = readOptions(words);
  const mode = asked.mode ?? "vepa";
  if (link === undefined) throw rtnetlink("Invalid argument");
  const named = namespaceOf(context).devices.get(link);
  if (named === undefined) throw new ToolFailure(1, `Cannot find device "${link}"\n`);
  checkSources(asked);
  // A macvlan on a macvlan is a sibling of it.
  const lower = named instanceof Macvlan ? named.lower : named;
  if (lower.isLoopback || lower.isPointToPoint) throw rtnetlink("Invalid argument");
  if (mtu !== undefined && mtu > lower.mtu) throw rtnetlink("Invalid argument");
  const port = macvlanPorts(lower.ns).find(lower);
  if (port === undefined && lower.rxHandler !== undefined)
    throw rtnetlink("Device or resource busy");
  const children = port?.children ?? [];
  const alone = mode === "passthru" || children.some((child) => child.mode === "passthru");
  if (alone && children.length > 0) throw rtnetlink("Invalid argument");
  if (asked.sources !== undefined && mode !== "source") throw rtnetlink("Invalid argument");
  const own = mode === "passthru" ? lower.mac : (mac ?? allocateMac(identity.ns.sim));
  const dev = new Macvlan({ ...identity, mac: own, lower, mode });
  applyOptions(dev, asked);
  return dev;
}

/** `ip link set DEV type macvlan …`. Mirrors drivers/net/macvlan.c:macvlan_changelink(). */
export function setMacvlanOptions(dev: NetDevice, words: Words): void {
  const asked = readOptions(words);
  if (!(dev instanceof Macvlan)) throw rtnetlink("Operation not supported");
  checkSources(asked);
  const { mode = dev.mode } = asked;
  if ((mode === "passthru") !== (dev.mode === "passthru")) throw rtnetlink("Invalid argument");
  if (dev.mode === "source" && mode !== "source") dev.removeSource(undefined);
  dev.mode = mode;
  const refused = asked.sources !== undefined && mode !== "source";
  applyOptions(dev, refused ? { ...asked, sources: undefined } : asked);
  if (refused) throw rtnetlink("Invalid argument");
}

/** `mode source nodst bcqueuelen 1000 …`, as `ip -d link` prints it. Mirrors iproute2's ip/iplink_macvlan.c:macvlan_print_opt(). */
export function formatMacvlanOptions(dev: Macvlan): string {
  const { mode, flags, queueLength, usedQueueLength, sources } = dev;
  const shown = MACVLAN_FLAGS.filter((flag) => flags.has(flag)).map((flag) => `${flag} `);
  const queue = `bcqueuelen ${queueLength} usedbcqueuelen ${usedQueueLength} `;
  const senders = sources.map((mac) => `${formatMac(mac)} `).join("");
  const list = mode === "source" ? `remotes (${sources.length}) ${senders}` : "";
  return `mode ${mode} ${shown.join("")}${queue}${list}`;
}

const USAGE = `Usage: ... macvlan mode MODE [flag MODE_FLAG] MODE_OPTS [bcqueuelen BC_QUEUE_LEN]

MODE: private | vepa | bridge | passthru | source
MODE_FLAG: null | nopromisc | nodst
MODE_OPTS: for mode "source":
\tmacaddr { { add | del } <macaddr> | set [ <macaddr> [ <macaddr>  ... ] ] | flush }
BC_QUEUE_LEN: Length of the rx queue for broadcast/multicast: [0-4294967295]
`;

/** A change of the list of senders. */
interface SourceChange {
  readonly how: "add" | "del" | "set" | "flush";
  readonly macs: readonly Mac[];
}

interface MacvlanWords {
  mode?: MacvlanMode | undefined;
  flags?: ReadonlySet<MacvlanFlag> | undefined;
  queueLength?: number | undefined;
  sources?: SourceChange | undefined;
}

/** Mirrors iproute2's ip/iplink_macvlan.c:macvlan_parse_opt(). */
function readOptions(words: Words): MacvlanWords {
  const asked: MacvlanWords = {};
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    const given: string = word;
    if (abbreviates(given, "mode")) asked.mode = readMode(words.value());
    else if (abbreviates(given, "flag")) addFlag(asked, readFlag(words.value()));
    else if (abbreviates(given, "macaddr")) asked.sources = readSources(words);
    else if (abbreviates(given, "nopromisc")) addFlag(asked, "nopromisc");
    else if (abbreviates(given, "nodst")) addFlag(asked, "nodst");
    else if (abbreviates(given, "bcqueuelen")) asked.queueLength = readLength(words.value());
    else throw new ToolFailure(1, `macvlan: unknown option "${given}"?\n${USAGE}`);
  }
  if (asked.flags?.has("nopromisc") === true && asked.mode !== "passthru")
    throw new ToolFailure(1, `macvlan: nopromisc flag only valid in passthru mode\n${USAGE}`);
  return asked;
}

function readMode(value: string): MacvlanMode {
  const found = MACVLAN_MODES.find((name) => name === value);
  if (found !== undefined) return found;
  const names = '"private", "vepa", "bridge", "passthru" or "source"';
  throw new ToolFailure(1, `Error: argument of "mode" must be ${names}, not "${value}"\n`);
}

function readFlag(value: string): MacvlanFlag | undefined {
  const found = MACVLAN_FLAGS.find((name) => name === value);
  if (found !== undefined || value === "null") return found;
  throw new ToolFailure(
    1,
    `Error: argument of "flag" must be "nopromisc", "nodst" or "null", not "${value}"\n`,
  );
}

function addFlag(asked: MacvlanWords, flag: MacvlanFlag | undefined): void {
  asked.flags = new Set([...(asked.flags ?? []), ...(flag === undefined ? [] : [flag])]);
}

function readSources(words: Words): SourceChange {
  const how = words.value();
  switch (how) {
    case "add":
    case "del":
      return { how, macs: [readSender(words.value())] };
    case "flush":
      return { how, macs: [] };
    case "set": {
      const macs: Mac[] = [];
      for (let mac = nextMac(words); mac !== undefined; mac = nextMac(words)) macs.push(mac);
      // The real tool says that the next word is no address, and reads it as an option.
      if (!words.isEmpty) throw notModelled("ip", "options after macaddr set");
      return { how, macs };
    }
    default:
      throw new ToolFailure(1, USAGE);
  }
}

function nextMac(words: Words): Mac | undefined {
  const mac = parseMac(words.peek() ?? "");
  if (mac !== undefined) words.shift();
  return mac;
}

/** One that is too short is refused without a word. */
function readSender(text: string): Mac {
  const mac = parseMac(text);
  if (mac !== undefined) return mac;
  const isShort = /^[0-9a-f]{1,2}(:[0-9a-f]{1,2})*$/i.test(text);
  throw new ToolFailure(1, isShort ? "" : `"${text}" is invalid lladdr.\n`);
}

function readLength(text: string): number {
  const length = parseNumber(text);
  if (length === undefined || length > 0xffff_ffff)
    throw new ToolFailure(
      1,
      `Error: argument of "bcqueuelen" must be a positive integer [0-4294967295], not "${text}"\n`,
    );
  // Then nothing that goes to many comes in.
  if (length === 0) throw notModelled("ip", "a macvlan with bcqueuelen 0");
  return length;
}

/** Mirrors macvlan_validate(). */
function checkSources({ sources }: MacvlanWords): void {
  const { how, macs = [] } = sources ?? {};
  if (how === "set") return;
  if (macs.some((mac) => mac === MAC_ZERO || isMulticastMac(mac)))
    throw rtnetlink("Cannot assign requested address");
}

function applyOptions(dev: Macvlan, { flags, queueLength, sources }: MacvlanWords): void {
  if (flags !== undefined) dev.flags = flags;
  if (queueLength !== undefined) dev.queueLength = queueLength;
  if (sources === undefined) return;
  const { how, macs } = sources;
  if (how === "set" || how === "flush") dev.removeSource(undefined);
  for (const mac of macs) {
    if (how === "del") dev.removeSource(mac);
    else dev.addSource(mac);
  }
}
