import {
  type ListContext,
  type ListedOption,
  type ListedOptions,
  listAll,
  type ListWords,
} from "./list-options.js";
import { quoteText } from "./words.js";

/** What `-L` says of targets, with the blank before it. Mirrors the print functions of iptables/extensions/libxt_*.c. */
export const TARGET_WORDS: Readonly<Record<string, ListWords>> = {
  AUDIT: (options) => ` AUDIT ${options.value("type")}`,
  CHECKSUM: () => " CHECKSUM fill",
  CLASSIFY: (options) =>
    ` CLASSIFY set ${options
      .value("set-class")
      .split(":")
      .map((part) => Number.parseInt(part, 16).toString(16))
      .join(":")}`,
  CONNMARK: (options) => ` CONNMARK${connmarkWords(options)}`,
  CONNSECMARK: (options) => ` CONNSECMARK ${options.has("save") ? "save" : "restore"}`,
  CT: (options) => ` CT${listAll(options)}`,
  DNAT: (options) => natWords(options, "to-destination"),
  DNPT: (options) => ` DNPT${listAll(options)}`,
  DSCP: (options) => ` DSCP set ${options.value("set-dscp")}`,
  ECN: () => " ECN TCP remove",
  HL: (options) => hopWords(options, "HL"),
  HMARK: hmarkWords,
  IDLETIMER: (options) =>
    ` timeout:${options.value("timeout")} label:${options.get("label")?.values.join(" ") ?? ""}${options.has("alarm") ? " alarm" : ""}`,
  LOG: logWords,
  MARK: (options) => ` MARK${markWords(options.value("set-xmark"))}`,
  MASQUERADE: (options) =>
    `${options.has("to-ports") ? ` masq ports: ${options.value("to-ports")}` : ""}${flagWords(options)}`,
  NETMAP: (options) => ` to:${options.value("to")}`,
  NFLOG: (options) =>
    options.all
      .map(
        ({ name, values: [value = ""] }) =>
          ` ${name} ${name === "nflog-prefix" ? quoteText(value) : value}`,
      )
      .join(""),
  NFQUEUE: (options) =>
    ` NFQUEUE${options.all.map(({ name, values }) => ` ${[name.slice(6), ...values].join(" ")}`).join("")}`,
  NOTRACK: () => " NOTRACK",
  RATEEST: (options) =>
    ` name ${options.value("rateest-name")} interval ${options.value("rateest-interval")} ewmalog ${options.value("rateest-ewmalog")}`,
  REDIRECT: (options) =>
    `${options.has("to-ports") ? ` redir ports ${options.value("to-ports")}` : ""}${flagWords(options)}`,
  REJECT: listAll,
  SECMARK: (options) => ` SECMARK selctx ${options.value("selctx")}`,
  SET: listAll,
  SNAT: (options) => natWords(options, "to-source"),
  SNPT: (options) => ` SNPT${listAll(options)}`,
  SYNPROXY: (options) => ` SYNPROXY${listAll(options)} `,
  TCPMSS: (options) =>
    options.has("set-mss") ? ` TCPMSS set ${options.value("set-mss")}` : " TCPMSS clamp to PMTU",
  TCPOPTSTRIP: (options, { numeric }) =>
    ` TCPOPTSTRIP options ${options
      .value("strip-options")
      .split(",")
      .map((word) => (numeric ? word : (TCP_OPTIONS[word] ?? word)))
      .join(",")}`,
  TEE: (options) =>
    ` TEE gw:${options.value("gateway")}${options.has("oif") ? ` oif=${options.value("oif")}` : ""}`,
  TOS: (options) => ` TOS set ${options.value("set-tos")}`,
  TPROXY: (options) =>
    ` TPROXY redirect ${options.value("on-ip")}:${options.value("on-port")} mark ${options.value("tproxy-mark")}`,
  TRACE: () => "",
  TTL: (options) => hopWords(options, "TTL"),
};

const TCP_OPTIONS: Readonly<Record<string, string>> = {
  2: "mss",
  3: "wscale",
  4: "sack-permitted",
  5: "sack",
  8: "timestamp",
  19: "md5",
};

/** `--random` and the like. */
function flagWords(options: ListedOptions): string {
  return options.all
    .filter(({ values }) => values.length === 0)
    .map(({ name }) => ` ${name}`)
    .join("");
}

function natWords(options: ListedOptions, name: string): string {
  return ` to:${options.value(name)}${flagWords(options)}`;
}

function hopWords(options: ListedOptions, name: string): string {
  const [option] = options.all;
  const [value = ""] = option?.values ?? [];
  if (option?.name.endsWith("-inc") === true) return ` ${name} increment by ${value}`;
  return option?.name.endsWith("-dec") === true
    ? ` ${name} decrement by ${value}`
    : ` ${name} set to ${value}`;
}

/** How a mark changes, as somebody would have typed it. Mirrors iptables/extensions/libxt_MARK.c:mark_tg_print(). */
function markWords(text: string): string {
  const [value = 0, mask = 0] = text.split("/").map(Number);
  const hex = (number: number): string => `0x${(number >>> 0).toString(16)}`;
  if (value === 0) return ` and ${hex(~mask)}`;
  if (value === mask) return ` or ${hex(value)}`;
  if (mask === 0) return ` xor ${hex(value)}`;
  return mask === 0xffff_ffff ? ` set ${hex(value)}` : ` xset ${hex(value)}/${hex(mask)}`;
}

function connmarkWords(options: ListedOptions): string {
  if (options.has("set-xmark")) return markWords(options.value("set-xmark"));
  const saves = options.has("save-mark");
  const [own, connection] = [options.value("nfmask"), options.value("ctmask")];
  const verb = saves ? " save" : " restore";
  if (own === connection) return own === "0xffffffff" ? verb : `${verb} mask ${own}`;
  return saves
    ? `${verb} nfmask ${own} ctmask ~${connection}`
    : `${verb} ctmask ${connection} nfmask ~${own}`;
}

function hmarkWords(options: ListedOptions): string {
  const short = (text: string): string => `0x${Number(text).toString(16)}`;
  const offset = options.value("hmark-offset");
  const head = ` HMARK mod ${options.value("hmark-mod")} ${offset === "" ? "" : `+ 0x${Number(offset).toString(16)} `}${options.has("hmark-tuple") ? "ct, " : ""}`;
  const rest = options.all
    .filter(({ name }) => !["hmark-mod", "hmark-offset", "hmark-tuple"].includes(name))
    .map(
      ({ name, values: [value = ""] }) =>
        `${name.slice(6)} ${value.startsWith("0x") ? short(value) : value} `,
    );
  return head + rest.join("");
}

const LEVELS: readonly string[] = [
  "emerg",
  "alert",
  "crit",
  "err",
  "warning",
  "notice",
  "info",
  "debug",
];
/** The bit of each flag. */
const LOG_FLAGS: readonly (readonly [string, number])[] = [
  ["log-tcp-sequence", 1],
  ["log-tcp-options", 2],
  ["log-ip-options", 4],
  ["log-uid", 8],
  ["log-macdecode", 32],
];

function logWords(options: ListedOptions, { numeric }: ListContext): string {
  const level = options.has("log-level") ? options.value("log-level") : "4";
  const set = LOG_FLAGS.filter(([name]) => options.has(name));
  const flags = set.reduce((sum, [, bit]) => sum | bit, 0);
  const words = set.map(([name]) => ` ${name.slice(4)}`).join("");
  const prefix: ListedOption | undefined = options.get("log-prefix");
  return [
    numeric
      ? ` LOG flags ${flags} level ${level}`
      : ` LOG level ${LEVELS[Number(level)] ?? level}${words}`,
    prefix === undefined ? "" : ` prefix "${prefix.values[0] ?? ""}"`,
  ].join("");
}
