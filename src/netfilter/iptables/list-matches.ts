import {
  chunkWords,
  flagWords,
  fragWords,
  headerWords,
  hopWords,
  icmpWords,
  ipv6HeaderWords,
  portWords,
  routingWords,
  somePortWords,
  spiWords,
  typeWords,
} from "./list-header-words.js";
import { bang, bangBlank, join, listAll, listRange, type ListWords } from "./list-options.js";
import {
  hashlimitWords,
  ownerWords,
  policyWords,
  recentWords,
  timeWords,
} from "./list-state-words.js";

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
