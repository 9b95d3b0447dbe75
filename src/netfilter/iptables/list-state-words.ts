import { type ListContext, type ListedOption, type ListedOptions } from "./list-options.js";
import { parseProtocol } from "./protocols.js";

export function hashlimitWords(options: ListedOptions): string {
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

export function ownerWords(options: ListedOptions): string {
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

export function policyWords(options: ListedOptions, { numeric }: ListContext): string {
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

export function recentWords(options: ListedOptions): string {
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

const LAST_DATE = "2038-01-19T03:14:07";

export function timeWords(options: ListedOptions): string {
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
