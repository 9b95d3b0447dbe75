import type { RuleFamily } from "./addresses.js";
import { type ListedOption, type ListedOptions, listAll, listRange } from "./list-options.js";
import { DCCP_TYPES } from "./matches/dccp.js";
import { SCTP_TYPES } from "./matches/sctp.js";
import { parseProtocol } from "./protocols.js";
import type { Variant } from "./tables.js";

/** How a module is to be shown. */
export interface ListContext {
  /** `-n`: numbers in place of names. */
  readonly numeric: boolean;
  readonly variant: Variant;
  readonly family: RuleFamily;
}

type ListWords = (options: ListedOptions, context: ListContext) => string;

const bang = (option: ListedOption | undefined): string => (option?.invert === true ? "!" : "");
const bangBlank = (option: ListedOption | undefined): string =>
  option?.invert === true ? "! " : "";

/** What `-L` says of matches, with the blank before it. Mirrors the print functions of iptables/extensions/libxt_*.c. */
export const MATCH_WORDS: Readonly<Record<string, ListWords>> = {
  addrtype: (options) =>
    ` ADDRTYPE match${join(options, ["src-type", "dst-type"], (option) => `${option.name} ${bang(option)}${option.values.join(",")}`)}${options.has("limit-iface-in") ? " limit-in" : ""}${options.has("limit-iface-out") ? " limit-out" : ""}`,
  ah: (options) => spiWords(options, "ah", "ahspi", "ahlen", "ahres"),
  bpf: (options) => `match bpf ${options.value("bytecode").replace(/^\d+,/, "")}\0`,
  cgroup: (options) => {
    const [option] = options.all;
    return ` cgroup ${bangBlank(option)}${option?.values[0] ?? ""}`;
  },
  cluster: (options) =>
    ` cluster ${bang(options.get("cluster-local-nodemask"))}node_mask=${options.value("cluster-local-nodemask")} total_nodes=${options.value("cluster-total-nodes")} hash_seed=${options.value("cluster-hash-seed")}`,
  comment: (options) => ` /* ${options.value("comment")} */`,
  connbytes: (options) =>
    `${options.get("connbytes")?.invert === true ? " !" : ""} connbytes ${options.value("connbytes")} connbytes mode ${options.value("connbytes-mode")} connbytes direction ${options.value("connbytes-dir")}`,
  connlabel: (options) =>
    ` connlabel ${bangBlank(options.get("label"))}${options.value("label")}${options.has("set") ? " set" : ""}`,
  connlimit: (options) => {
    const above = options.get("connlimit-above");
    const side = options.has("connlimit-daddr") ? "dst" : "src";
    const limit =
      above === undefined ? `<= ${options.value("connlimit-upto")}` : `> ${above.values[0]}`;
    return ` #conn ${side}/${options.value("connlimit-mask")} ${limit}`;
  },
  connmark: (options) => ` connmark match ${bang(options.get("mark"))} ${options.value("mark")}`,
  conntrack: listAll,
  cpu: (options) => ` cpu ${bangBlank(options.get("cpu"))}${options.value("cpu")}`,
  dccp: (options, { numeric }) =>
    ` dccp${somePortWords(options)}${typeWords(options, numeric)}${join(options, ["dccp-option"], (option) => `option=${bang(option)}${option.values[0]}`)}`,
  devgroup: (options, { numeric }) =>
    listAll(options).replaceAll(/-group default/g, numeric ? "-group 0x0" : "-group default"),
  dscp: (options) => ` DSCP match ${bang(options.get("dscp"))}${options.value("dscp")}`,
  dst: (options) => headerWords(options, "dst"),
  ecn: (options) =>
    ` ECN match${join(options, ["ecn-tcp-ece"], (option) => `${bang(option)}ECE`)}${join(options, ["ecn-tcp-cwr"], (option) => `${bang(option)}CWR`)}${join(options, ["ecn-ip-ect"], (option) => `${bang(option)}ECT=${option.values[0]}`)}`,
  esp: (options) => ` esp${join(options, ["espspi"], (option) => listRange("spi", option))}`,
  // The nft variant loses the words.
  eui64: (_, { variant }) => (variant === "nft" ? "" : "eui64 "),
  frag: (options) => ` frag ${options.all.map((option) => fragWords(option)).join("")}`,
  hashlimit: hashlimitWords,
  hbh: (options) => headerWords(options, "hbh"),
  helper: (options) =>
    ` helper match ${bangBlank(options.get("helper"))}"${options.value("helper")}"`,
  hl: (options) => hopWords(options, "HL", "hl"),
  icmp: (options) => icmpWords(options.get("icmp-type"), "icmp"),
  icmp6: (options) => icmpWords(options.get("icmpv6-type"), "ipv6-icmp"),
  ipcomp: (options) =>
    ` comp${join(options, ["ipcompspi"], (option) => listRange("spi", option))}${options.has("compres") ? " reserved" : ""}`,
  iprange: (options) =>
    join(
      options,
      ["src-range", "dst-range"],
      (option) =>
        `${option.name === "src-range" ? "source" : "destination"} IP range ${bangBlank(option)}${option.values[0]}`,
    ),
  ipv6header: (options, { numeric }) => ipv6HeaderWords(options, numeric),
  length: (options) => ` length ${bang(options.get("length"))}${options.value("length")}`,
  limit: (options) =>
    ` limit: avg ${options.value("limit")} burst ${options.has("limit-burst") ? options.value("limit-burst") : "5"}`,
  mac: (options) => ` MAC ${bangBlank(options.get("mac-source"))}${options.value("mac-source")}`,
  mark: (options) => ` mark match ${bangBlank(options.get("mark"))}${options.value("mark")}`,
  mh: (options) =>
    ` mh${join(options, ["mh-type"], (option) => `${bang(option)}${option.values[0]}`)}`,
  multiport: (options) =>
    ` multiport${options.all.map((option) => ` ${option.name} ${option.invert ? " !" : ""}${option.values[0]}`).join("")}`,
  nfacct: (options) => ` nfacct-name  ${options.value("nfacct-name")}`,
  osf: (options) =>
    ` OS fingerprint match ${bangBlank(options.get("genre"))}${options.value("genre")}`,
  owner: ownerWords,
  physdev: (options) =>
    ` PHYSDEV match${options.all.map((option) => ` ${bangBlank(option)}${["--" + option.name, ...option.values].join(" ")}`).join("")}`,
  pkttype: (options) =>
    ` PKTTYPE ${options.get("pkt-type")?.invert === true ? "!=" : "="} ${options.value("pkt-type")}`,
  policy: policyWords,
  quota: (options) => ` quota: ${options.value("quota")} bytes`,
  rateest: (options) => ` rateest match${listAll(options)}`,
  realm: listAll,
  recent: recentWords,
  rpfilter: (options) => ` rpfilter${options.all.map(({ name }) => ` ${name}`).join("")}`,
  rt: routingWords,
  sctp: (options, { numeric }) => ` sctp${somePortWords(options)}${chunkWords(options, numeric)}`,
  set: listAll,
  socket: (options) => ` socket${options.all.map(({ name }) => ` --${name}`).join("")}`,
  srh: (options) =>
    ` srh${options.all.map((option) => (option.name.endsWith("id") ? ` ${option.name.slice(4)} ${bang(option)} ${option.values[0]}` : ` ${option.name.slice(4)}:${bang(option)}${option.values[0]}`)).join("")}`,
  state: listAll,
  statistic: (options) => ` statistic${listAll(options)}`,
  string: (options) => {
    const pattern = options.get("string") ?? options.get("hex-string");
    const words = join(options, ["algo", "from", "to"], (option) =>
      option.name === "algo"
        ? `ALGO name ${option.values[0]}`
        : `${option.name.toUpperCase()} ${option.values[0]}`,
    );
    const text = (pattern?.values[0] ?? "").replaceAll(/["\\]/g, "\\$&");
    return ` STRING match ${bang(pattern)} "${text}"${words}${options.has("icase") ? " ICASE" : ""}`;
  },
  tcp: (options) =>
    ` tcp${portWords(options)}${join(options, ["tcp-option"], (option) => `option=${bang(option)}${option.values[0]}`)}${join(options, ["tcp-flags"], flagWords)}`,
  tcpmss: (options) => ` tcpmss match ${bang(options.get("mss"))}${options.value("mss")}`,
  time: timeWords,
  tos: (options) => ` tos match${bang(options.get("tos"))}${options.value("tos")}`,
  ttl: (options) => hopWords(options, "TTL", "ttl"),
  u32: (options) => ` u32 ${bangBlank(options.get("u32"))}"${options.value("u32")}"`,
  udp: (options) => ` udp${portWords(options)}`,
};

/** What of `names` is there, each with a blank before it. */
function join(
  options: ListedOptions,
  names: readonly string[],
  words: (option: ListedOption) => string,
): string {
  return names
    .flatMap((name) => options.get(name) ?? [])
    .map((option) => ` ${words(option)}`)
    .join("");
}

function portWords(options: ListedOptions): string {
  return `${join(options, ["sport"], (option) => listRange("spt", option))}${join(options, ["dport"], (option) => listRange("dpt", option))}`;
}

/** sctp and dccp do not show a range of all ports. */
function somePortWords(options: ListedOptions): string {
  return portWords(options).replaceAll(/ [sd]pts:!?0:65535/g, "");
}

const TCP_BITS: readonly string[] = ["FIN", "SYN", "RST", "PSH", "ACK", "URG"];

function flagWords(option: ListedOption): string {
  const bits = (names = ""): string => {
    const value = names
      .split(",")
      .reduce((sum, name) => sum | (TCP_BITS.includes(name) ? 1 << TCP_BITS.indexOf(name) : 0), 0);
    return `0x${value.toString(16).toUpperCase().padStart(2, "0")}`;
  };
  return `flags:${bang(option)}${bits(option.values[0])}/${bits(option.values[1])}`;
}

function icmpWords(option: ListedOption | undefined, name: string): string {
  const [type = "", code] = (option?.values[0] ?? "").split("/");
  return ` ${name}${option?.invert === true ? " !" : ""}type ${type === "any" ? "255" : type}${code === undefined ? "" : ` code ${code}`}`;
}

function chunkWords(options: ListedOptions, numeric: boolean): string {
  const option = options.get("chunk-types");
  if (option === undefined) return "";
  const [mode = "", list = ""] = option.values;
  const shown = list.split(",").map((chunk) => {
    const [name = "", flags] = chunk.split(":");
    const type = SCTP_TYPES.find(([known]) => known === name)?.[1];
    const number =
      type === undefined || !numeric
        ? name
        : `0x${type.toString(16).toUpperCase().padStart(4, "0")}`;
    return flags === undefined ? number : `${number}:${flags}`;
  });
  return ` ${bangBlank(option)}${mode} ${shown.join(",")}`;
}

function typeWords(options: ListedOptions, numeric: boolean): string {
  const option = options.get("dccp-types");
  if (option === undefined) return "";
  const names = (option.values[0] ?? "").split(",");
  const shown = numeric
    ? names.flatMap((name) =>
        name === "INVALID"
          ? [10, 11, 12, 13, 14, 15]
          : [DCCP_TYPES.findIndex((known) => known === name)],
      )
    : names;
  return ` ${bangBlank(option)}${shown.join(",")}`;
}

function spiWords(
  options: ListedOptions,
  name: string,
  spi: string,
  length: string,
  reserved: string,
): string {
  const words = `${join(options, [spi], (option) => listRange("spi", option))}${join(options, [length], (option) => `length:${bang(option)}${option.values[0]}`)}${options.has(reserved) ? " reserved" : ""}`;
  return ` ${name}${words === "" ? " " : words}`;
}

function fragWords(option: ListedOption): string {
  switch (option.name) {
    case "fragid":
      return listRange("id", option);
    case "fraglen":
      return ` length:${bang(option)}${option.values[0]}`;
    case "fragres":
      return " reserved";
    default:
      return ` ${option.name.slice(4)}`;
  }
}

function headerWords(options: ListedOptions, name: string): string {
  return ` ${name}${join(options, [`${name}-len`], (option) => `length:${bang(option)}${option.values[0]}`)}${join(options, [`${name}-opts`], (option) => `opts ${option.values[0]}`)}`;
}

function hopWords(options: ListedOptions, name: string, prefix: string): string {
  const [option] = options.all;
  const sign =
    option?.name === `${prefix}-lt`
      ? "<"
      : option?.name === `${prefix}-gt`
        ? ">"
        : option?.invert === true
          ? "!="
          : "==";
  return ` ${name} match ${name} ${sign} ${option?.values[0] ?? ""}`;
}

/** In the order of their bits. */
const IPV6_HEADERS: Readonly<Record<string, number>> = {
  "hop-by-hop": 0x80,
  "ipv6-opts": 0x40,
  "ipv6-route": 0x20,
  "ipv6-frag": 0x10,
  ah: 0x08,
  esp: 0x04,
  "ipv6-nonxt": 0x02,
  protocol: 0x01,
};

function ipv6HeaderWords(options: ListedOptions, numeric: boolean): string {
  const option = options.get("header");
  const names = (option?.values[0] ?? "").split(",");
  const bits = names.reduce((sum, name) => sum | (IPV6_HEADERS[name] ?? 0), 0);
  const shown = numeric ? `0x${bits.toString(16).toUpperCase().padStart(2, "0")}` : names.join(",");
  return ` ipv6header flags:${bang(option)}${shown}${options.has("soft") ? " soft" : ""}`;
}

function hashlimitWords(options: ListedOptions): string {
  const above = options.get("hashlimit-above");
  const rate = above?.values[0] ?? options.value("hashlimit-upto");
  const parts: string[] = [
    ` limit: ${above === undefined ? "up to" : "above"} ${rateWords(rate, options)}`,
  ];
  if (options.has("hashlimit-burst")) parts.push(`burst ${options.value("hashlimit-burst")}`);
  if (options.has("hashlimit-mode"))
    parts.push(`mode ${options.value("hashlimit-mode").replaceAll(",", "-")}`);
  const rest = [
    "htable-size",
    "htable-max",
    "htable-gcinterval",
    "htable-expire",
    "srcmask",
    "dstmask",
    "rate-match",
    "rate-interval",
  ];
  for (const name of rest) {
    const option = options.get(`hashlimit-${name}`);
    if (option !== undefined) parts.push([name, ...option.values].join(" "));
  }
  return parts.join(" ");
}

/** With --hashlimit-rate-match the rate is that of a whole interval, and is shown for one second of it. */
function rateWords(rate: string, options: ListedOptions): string {
  const [count = "", unit = ""] = rate.split("/");
  if (!options.has("hashlimit-rate-match") || unit !== "sec") return rate;
  const interval = Number(options.value("hashlimit-rate-interval") || "1");
  for (const [name, seconds] of [
    ["sec", 1],
    ["min", 60],
    ["hour", 3_600],
  ] as const) {
    const shown = (Number(count) * seconds) / interval;
    if (Number.isInteger(shown)) return `${shown}/${name}`;
  }
  return `${Math.trunc((Number(count) * 86_400) / interval)}/day`;
}

function ownerWords(options: ListedOptions): string {
  const words: Readonly<Record<string, string>> = {
    "socket-exists": "owner socket exists",
    "uid-owner": "owner UID match",
    "gid-owner": "owner GID match",
    "suppl-groups": "incl. suppl. groups",
  };
  return options.all
    .map(
      ({ invert, name, values }) =>
        ` ${[...(invert ? ["!"] : []), words[name] ?? name, ...values].join(" ")}`,
    )
    .join("");
}

function policyWords(options: ListedOptions, { numeric }: ListContext): string {
  const strict = options.has("strict");
  const head = ` policy match dir ${options.value("dir")} pol ${options.value("pol")}${strict ? " strict" : ""}`;
  const elements: ListedOption[][] = [[]];
  for (const option of options.all) {
    if (option.name === "next") elements.push([]);
    else if (!["dir", "pol", "strict"].includes(option.name)) elements.at(-1)?.push(option);
  }
  const shown = elements.map((element, index) => {
    const tests = element.map(({ invert, name, values: [value = ""] }) => {
      const protocol = name === "proto" && numeric ? String(parseProtocol(value)) : value;
      return `${invert ? "! " : ""}${name} ${protocol}`;
    });
    return [...(strict && elements.length > 1 ? [`[${index}]`] : []), ...tests]
      .map((word) => ` ${word}`)
      .join("");
  });
  return `${head}${shown.join("")}`;
}

function recentWords(options: ListedOptions): string {
  const operations: Readonly<Record<string, string>> = {
    set: "SET",
    rcheck: "CHECK",
    update: "UPDATE",
    remove: "REMOVE",
  };
  const operation = options.all.find(({ name }) => operations[name] !== undefined);
  const parts = [
    `${operation?.invert === true ? " !" : ""} recent: ${operations[operation?.name ?? ""] ?? ""}`,
  ];
  if (options.has("seconds")) parts.push(`seconds: ${options.value("seconds")}`);
  if (options.has("reap")) parts.push("reap");
  if (options.has("hitcount")) parts.push(`hit_count: ${options.value("hitcount")}`);
  if (options.has("rttl")) parts.push("TTL-Match");
  parts.push(
    `name: ${options.value("name")}`,
    `side: ${options.has("rdest") ? "dest" : "source"}`,
    `mask: ${options.value("mask")}`,
  );
  return parts.join(" ");
}

function routingWords(options: ListedOptions): string {
  const words: Readonly<Record<string, (option: ListedOption) => string>> = {
    "rt-type": (option) => `type:${bang(option)}${option.values[0]}`,
    "rt-segsleft": (option) => listRange("segsleft", option),
    "rt-len": (option) => `length:${bang(option)}${option.values[0]}`,
    "rt-0-res": () => "reserved",
    "rt-0-addrs": (option) => `0-addrs ${option.values[0]}`,
    "rt-0-not-strict": () => "0-not-strict",
  };
  return ` rt${options.all.map((option) => ` ${words[option.name]?.(option) ?? option.name}`).join("")}`;
}

const LAST_DATE = "2038-01-19T03:14:07";

function timeWords(options: ListedOptions): string {
  const parts = [" TIME"];
  if (options.has("timestart") || options.has("timestop"))
    parts.push(`from ${options.value("timestart")} to ${options.value("timestop")}`);
  if (options.has("weekdays")) parts.push(`on ${options.value("weekdays")}`);
  if (options.has("monthdays"))
    parts.push(
      `on ${options
        .value("monthdays")
        .split(",")
        .map((day) => `${day}${day === "" ? "" : ordinal(Number(day))}`)
        .join(",")}`,
    );
  if (options.has("datestart"))
    parts.push(`starting from ${options.value("datestart").replace("T", " ")}`);
  const stop = options.value("datestop");
  if (stop !== "" && stop !== LAST_DATE) parts.push(`until date ${stop.replace("T", " ")}`);
  if (!options.has("kerneltz")) parts.push("UTC");
  if (options.has("contiguous")) parts.push("contiguous");
  return parts.join(" ");
}

/** By the last digit alone: 11st, 12nd. */
function ordinal(day: number): string {
  return ["th", "st", "nd", "rd"][day % 10] ?? "th";
}
