import {
  bang,
  bangBlank,
  join,
  type ListedOption,
  type ListedOptions,
  listRange,
} from "./list-options.js";
import { DCCP_TYPES } from "./matches/dccp.js";
import { SCTP_TYPES } from "./matches/sctp.js";

export function portWords(options: ListedOptions): string {
  return `${join(options, ["sport"], (option) => listRange("spt", option))}${join(options, ["dport"], (option) => listRange("dpt", option))}`;
}

/** sctp and dccp do not show a range of all ports. */
export function somePortWords(options: ListedOptions): string {
  return portWords(options).replaceAll(/ [sd]pts:!?0:65535/g, "");
}

const TCP_BITS: readonly string[] = ["FIN", "SYN", "RST", "PSH", "ACK", "URG"];

export function flagWords(option: ListedOption): string {
  const bits = (names = ""): string => {
    const value = names
      .split(",")
      .reduce((sum, name) => sum | (TCP_BITS.includes(name) ? 1 << TCP_BITS.indexOf(name) : 0), 0);
    return `0x${value.toString(16).toUpperCase().padStart(2, "0")}`;
  };
  return `flags:${bang(option)}${bits(option.values[0])}/${bits(option.values[1])}`;
}

export function icmpWords(option: ListedOption | undefined, name: string): string {
  const [type = "", code] = (option?.values[0] ?? "").split("/");
  return ` ${name}${option?.invert === true ? " !" : ""}type ${type === "any" ? "255" : type}${code === undefined ? "" : ` code ${code}`}`;
}

export function chunkWords(options: ListedOptions, numeric: boolean): string {
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

export function typeWords(options: ListedOptions, numeric: boolean): string {
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

export function spiWords(
  options: ListedOptions,
  name: string,
  spi: string,
  length: string,
  reserved: string,
): string {
  const words = `${join(options, [spi], (option) => listRange("spi", option))}${join(options, [length], (option) => `length:${bang(option)}${option.values[0]}`)}${options.has(reserved) ? " reserved" : ""}`;
  return ` ${name}${words === "" ? " " : words}`;
}

export function fragWords(option: ListedOption): string {
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

export function headerWords(options: ListedOptions, name: string): string {
  return ` ${name}${join(options, [`${name}-len`], (option) => `length:${bang(option)}${option.values[0]}`)}${join(options, [`${name}-opts`], (option) => `opts ${option.values[0]}`)}`;
}

export function hopWords(options: ListedOptions, name: string, prefix: string): string {
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

export function ipv6HeaderWords(options: ListedOptions, numeric: boolean): string {
  const option = options.get("header");
  const names = (option?.values[0] ?? "").split(",");
  const bits = names.reduce((sum, name) => sum | (IPV6_HEADERS[name] ?? 0), 0);
  const shown = numeric ? `0x${bits.toString(16).toUpperCase().padStart(2, "0")}` : names.join(",");
  return ` ipv6header flags:${bang(option)}${shown}${options.has("soft") ? " soft" : ""}`;
}

export function routingWords(options: ListedOptions): string {
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
