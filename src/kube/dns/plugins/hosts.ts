import { addressOfReverse, canonicalIp, formatIp, parseIp } from "../address.js";
import type { Controller } from "../controller.js";
import { parseDuration, parseInteger } from "../go-values.js";
import { questionOf, record, replyTo } from "../messages.js";
import { fqdn, longestZone } from "../names.js";
import { definePlugin, unwritten, written, type Handler, type Plugin } from "../plugin.js";

interface Settings {
  zones: readonly string[];
  ttl: number;
  reverse: boolean;
  fallthrough: readonly string[] | undefined;
  fallthroughUnsupported: boolean;
}

interface HostTable {
  readonly addresses: Map<string, string[]>;
  readonly names: Map<string, string[]>;
}

/** `hosts [FILE [ZONES…]] { LINES… ttl S  no_reverse  reload D  fallthrough … }`: answers from an /etc/hosts file. */
export const hosts: Plugin = definePlugin({
  name: "hosts",
  setup(c) {
    const settings: Settings = {
      zones: c.config.zones,
      ttl: 3600,
      reverse: true,
      fallthrough: undefined,
      fallthroughUnsupported: false,
    };
    const inline: string[] = [];
    let path = "/etc/hosts";
    let place = c.place();
    for (let count = 0; c.next(); count++) {
      if (count > 0) throw c.once();
      place = c.place();
      const [file, ...zones] = c.remainingArgs();
      if (file !== undefined) path = file;
      settings.zones = c.zones(zones);
      if (c.readFile(path) === undefined)
        c.config.log(`[WARNING] plugin/hosts: File does not exist: ${c.path(path)}`);
      while (c.nextBlock()) property(c, settings, inline);
      if (settings.fallthroughUnsupported && settings.fallthrough === undefined) {
        throw c.err("fallthrough_unsupported requires fallthrough");
      }
    }
    const table: HostTable = { addresses: new Map(), names: new Map() };
    for (const line of [...(c.readFile(path) ?? "").split("\n"), ...inline])
      readLine(line, table, settings);
    return handler(place, settings, table);
  },
});

const properties = ["fallthrough", "fallthrough_unsupported", "no_reverse", "ttl", "reload"];

function property(c: Controller, settings: Settings, inline: string[]): void {
  const name = c.val();
  if (settings.fallthrough !== undefined && !properties.includes(name))
    throw c.unknownProperty(properties);
  const args = c.remainingArgs();
  switch (name) {
    case "fallthrough":
      settings.fallthrough = c.fallthrough(args);
      return;
    case "fallthrough_unsupported":
      if (args.length > 0) throw c.argErr();
      settings.fallthroughUnsupported = true;
      return;
    case "no_reverse":
      settings.reverse = false;
      return;
    case "ttl": {
      if (args[0] === undefined) throw c.err("ttl needs a time in second");
      const value = parseInteger(args[0]);
      if (value === undefined) throw c.err("ttl needs a number of second");
      if (value <= 0 || value > 65_535) throw c.err("ttl provided is invalid");
      settings.ttl = value;
      return;
    }
    case "reload":
      return reload(c, args);
    default:
      inline.push([name, ...args].join(" "));
  }
}

function reload(c: Controller, args: readonly string[]): void {
  const [text, more] = args;
  if (text === undefined || more !== undefined)
    throw c.err("reload needs a duration (zero seconds to disable)");
  const value = parseDuration(text);
  if (typeof value !== "number") throw c.err(`invalid duration for reload '${text}'`);
  if (value < 0) throw c.err(`invalid negative duration for reload '${text}'`);
}

/** One line: an address and its names. A line that is none is left out. */
function readLine(line: string, table: HostTable, settings: Settings): void {
  const [first = "", ...names] = line.replace(/#.*/s, "").trim().split(/\s+/);
  const ip = parseIp(first.split("%")[0] ?? "");
  if (ip === undefined) return;
  const address = formatIp(ip);
  for (const word of names) {
    const name = fqdn(word).toLowerCase();
    if (longestZone(settings.zones, name) === undefined) continue;
    push(table.addresses, name, address);
    if (settings.reverse && !name.startsWith("*.")) push(table.names, address, name);
  }
}

function push(map: Map<string, string[]>, key: string, value: string): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}

/** The name's own addresses, else those of the wildcard that stands for its first label. */
function addressesFor(table: HostTable, name: string): readonly string[] {
  const own = table.addresses.get(name);
  if (own !== undefined) return own;
  const dot = name.indexOf(".");
  return dot < 0 ? [] : (table.addresses.get(`*${name.slice(dot)}`) ?? []);
}

function handler(place: Handler["place"], settings: Settings, table: HostTable): Handler {
  return {
    name: "hosts",
    place,
    serve(query, walk) {
      const { name, type } = questionOf(query);
      const lower = name.toLowerCase();
      const inZone = longestZone(settings.zones, lower) !== undefined;
      if (type === "PTR") {
        const ip = addressOfReverse(lower);
        const names = ip === undefined ? [] : (table.names.get(formatIp(ip)) ?? []);
        if (names.length === 0)
          return walk.next(query, { action: "passed", why: "no entry has the address" });
        const answers = names.map((target) => record(lower, "PTR", settings.ttl, target));
        return walk.respond(written(replyTo(query.message, { aa: true, answers })), {
          action: "answered",
          why: "an entry has the address",
        });
      }
      if (!inZone)
        return walk.next(query, { action: "passed", why: "the name is in none of its zones" });
      const known = addressesFor(table, lower);
      const falls = longestZone(settings.fallthrough ?? [], lower);
      const supported = type === "A" || type === "AAAA";
      if (!supported && settings.fallthroughUnsupported && falls !== undefined) {
        return walk.next(query, {
          action: "passed",
          why: `it has no ${type} records; fallthrough ${falls}`,
        });
      }
      if (known.length === 0) {
        if (falls !== undefined)
          return walk.next(query, { action: "passed", why: `no entry; fallthrough ${falls}` });
        return walk.respond(unwritten("SERVFAIL"), {
          action: "failed",
          why: "no entry, and no SOA record to say so with",
        });
      }
      const family = type === "A" ? 4 : 6;
      const found = supported ? known.filter((address) => parseIp(address)?.family === family) : [];
      const answers = found.map((address) =>
        record(lower, type, settings.ttl, canonicalIp(address) ?? address),
      );
      const why = found.length === 0 ? `an entry without ${type} records` : "an entry has the name";
      walk.respond(written(replyTo(query.message, { aa: true, answers })), {
        action: "answered",
        why,
      });
    },
  };
}
