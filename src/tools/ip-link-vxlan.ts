import type { NetDevice } from "../core/device.js";
import type { NetworkNamespace } from "../core/namespace.js";
import { allocateMac } from "../link/mac.js";
import { isGroup } from "../link/vxlan-fdb.js";
import { Vxlan, vxlanPorts, type VxlanSettings } from "../link/vxlan.js";
import { seconds } from "../sim/time.js";
import { type IpAddress, type Mac, MAC_ZERO, parseIpv6 } from "../wire/ip.js";
import { VXLAN_LINUX_PORT } from "../wire/vxlan.js";
import { notModelled, rtnetlink, ToolFailure } from "./failure.js";
import { deviceOf, readAddress } from "./ip-context.js";
import { garbage, parseNumber, type Words, wrongArgument } from "./words.js";

/** What `type vxlan …` says. */
export interface VxlanWords {
  readonly settings: VxlanSettings;
  /** Seconds. */
  readonly ageing: number | undefined;
}

type Draft = { -readonly [K in keyof VxlanSettings]: VxlanSettings[K] };

/** Reads `id VNI [remote IP] [local IP] [dev DEV] [dstport PORT] …`. Mirrors iproute2's ip/iplink_vxlan.c:vxlan_parse_opt(). */
export function readVxlan(words: Words, ns: NetworkNamespace): VxlanWords {
  const settings: Draft = {
    vni: -1,
    port: VXLAN_LINUX_PORT,
    local: undefined,
    family: "ipv4",
    lower: undefined,
    remote: undefined,
    learning: true,
    proxy: false,
    rsc: false,
    l2miss: false,
    l3miss: false,
    maxAddresses: 0,
    ttl: 0,
    tos: 0,
    df: "unset",
    checksum: true,
    sourcePorts: [0, 0],
  };
  let ageing: number | undefined;
  const seen = new Set<string>();
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    const key = ALIASES.get(word) ?? word;
    if (seen.has(key)) throw garbage(key, words.peek() ?? key);
    seen.add(key);
    if (word === "remote" || word === "group") settings.remote = remoteOf(words.value(), word);
    else if (word === "ageing") ageing = ageingOf(words.value());
    else if (word === "dev") settings.lower = lowerOf(ns, words.value());
    else if (UNMODELLED.has(word)) throw notModelled("ip", `a VXLAN device with ${word}`);
    else if (!HARMLESS.has(word) && !readSetting(word, words, settings)) throw unknown(word);
  }
  if (settings.vni < 0)
    throw rtnetlink("Error: Required attributes not provided to perform the operation.");
  if (seen.has("group") && seen.has("remote"))
    throw new ToolFailure(1, "vxlan: both group and remote cannot be specified\n");
  if (isGroup(settings.remote) && settings.lower === undefined)
    throw new ToolFailure(1, "vxlan: 'group' requires 'dev' to be specified\n");
  const six = [settings.local, settings.remote].map(
    (address) => address && typeof address === "bigint",
  );
  if (six.includes(true) && six.includes(false))
    throw rtnetlink("Error: Local and remote address must be from the same family.");
  settings.family = six.includes(true) ? "ipv6" : "ipv4";
  return { settings, ageing };
}

const SWITCHES = ["proxy", "rsc", "l2miss", "l3miss"] as const;

const ALIASES: ReadonlyMap<string, string> = new Map([
  ["vni", "id"],
  ["port", "srcport"],
  ["hoplimit", "ttl"],
  ["dsfield", "tos"],
  ["nolearning", "learning"],
  ["noudpcsum", "udpcsum"],
  ...SWITCHES.map((name): readonly [string, string] => [`no${name}`, name]),
]);

/** One word that goes into the settings as it is. False for a word that is none. */
function readSetting(word: string, words: Words, settings: Draft): boolean {
  if (word === "id" || word === "vni") settings.vni = vniOf(words.value());
  else if (word === "local") settings.local = unicast(words.value());
  else if (word === "ttl" || word === "hoplimit") settings.ttl = ttlOf(words.value());
  else if (word === "tos" || word === "dsfield") settings.tos = tosOf(words.value());
  else if (word === "df") settings.df = dfOf(words.value());
  else if (word === "dstport")
    settings.port = numberOf(words.value(), "dst port", 65_535) || VXLAN_LINUX_PORT;
  else if (word === "srcport" || word === "port") {
    const low = numberOf(words.value(), "min port", 65_535);
    settings.sourcePorts = [low, numberOf(words.value(), "max port", 65_535)];
  } else if (word === "learning" || word === "nolearning") settings.learning = word === "learning";
  else if (word === "udpcsum" || word === "noudpcsum") settings.checksum = word === "udpcsum";
  else if (word === "maxaddress") settings.maxAddresses = mostOf(words.value());
  else {
    const name = SWITCHES.find((known) => word === known || word === `no${known}`);
    if (name === undefined) return false;
    settings[name] = word === name;
  }
  return true;
}

/** Defaults that may be told, and switches of IPv6 underlays. */
const HARMLESS: ReadonlySet<string> = new Set(
  "noexternal novnifilter noremcsumtx noremcsumrx noudp6zerocsumtx noudp6zerocsumrx udp6zerocsumtx udp6zerocsumrx".split(
    " ",
  ),
);

const UNMODELLED: ReadonlySet<string> = new Set(
  "flowlabel external gbp gpe vnifilter remcsumtx remcsumrx".split(" "),
);

function vniOf(word: string): number {
  const vni = parseNumber(word);
  if (vni === undefined || vni >= 1 << 24) throw wrongArgument(word, "invalid id");
  return vni;
}

function unicast(word: string): IpAddress {
  const address = parseIpv6(word) ?? readAddress(word);
  if (isGroup(address)) throw wrongArgument(word, "invalid local address");
  return address;
}

function remoteOf(word: string, key: "remote" | "group"): IpAddress {
  const address = parseIpv6(word) ?? readAddress(word);
  if (isGroup(address) !== (key === "group")) throw wrongArgument(word, `invalid ${key} address`);
  return address;
}

function mostOf(word: string): number {
  return word === "unlimited" ? 0 : numberOf(word, "max addresses", 0xffff_ffff);
}

function ttlOf(word: string): number | "inherit" {
  if (word === "inherit") return word;
  return word === "auto" ? 0 : numberOf(word, "TTL must be <= 255", 255);
}

function tosOf(word: string): number | "inherit" {
  return word === "inherit" ? word : numberOf(word, "tos", 255);
}

function dfOf(word: string): VxlanSettings["df"] {
  if (word === "unset" || word === "set" || word === "inherit") return word;
  throw wrongArgument(word, "DF must be 'unset', 'set' or 'inherit'");
}

/** Seconds; for ever when nothing ages. */
function ageingOf(word: string): number {
  const value = word === "none" ? 0 : numberOf(word, "ageing timer", 0xffff_ffff);
  return value === 0 ? Number.POSITIVE_INFINITY : value;
}

function lowerOf(ns: NetworkNamespace, name: string): NetDevice {
  if (!ns.devices.has(name)) throw new ToolFailure(255, `Cannot find device "${name}"\n`);
  return deviceOf(ns, name);
}

function numberOf(word: string, what: string, high: number): number {
  const value = parseNumber(word);
  if (value === undefined || value > high) throw wrongArgument(word, what);
  return value;
}

function unknown(word: string): ToolFailure {
  return new ToolFailure(
    1,
    `vxlan: unknown command "${word}"?\nUsage: ... vxlan id VNI [ remote IP_ADDRESS ] [ local ADDR ] [ ttl TTL ] [ tos TOS ] [ df DF ] [ dev PHYS_DEV ] [ dstport PORT ] [ srcport MIN MAX ] [ [no]learning ] [ ageing SECONDS ] [ [no]udpcsum ]\n`,
  );
}

/** Makes the device; its remote becomes the entry for all addresses. Mirrors drivers/net/vxlan/vxlan_core.c:__vxlan_dev_create(). */
export function makeVxlan(
  identity: { readonly name: string; readonly ns: NetworkNamespace },
  mac: Mac | undefined,
  { settings, ageing }: VxlanWords,
): Vxlan {
  const { ns } = identity;
  const { vni, port, lower, family, remote } = settings;
  const taken = [...vxlanPorts(ns).devices].some(
    (other) =>
      other.settings.vni === vni &&
      other.settings.port === port &&
      other.settings.family === family,
  );
  if (taken) throw rtnetlink("Error: A VXLAN device with the specified VNI already exists.");
  const dev = new Vxlan({ ...identity, mac: mac ?? allocateMac(ns.sim), settings });
  if (ageing !== undefined) dev.fdb.ageing = seconds(ageing);
  if (remote !== undefined)
    dev.fdb.set(MAC_ZERO, "permanent", [{ address: remote, port, vni, dev: lower }]);
  return dev;
}
