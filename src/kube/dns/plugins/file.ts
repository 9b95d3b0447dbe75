import type { Controller } from "../controller.js";
import { duration } from "../go-values.js";
import { definePlugin, type Plugin } from "../plugin.js";
import { ZoneHandler } from "../zone-handler.js";
import { parseZone } from "../zone-file.js";
import { Zone } from "../zone.js";

/** `file DBFILE [ZONES…] { reload D  reload_by_mtime  fallthrough [ZONES…] }`: answers from a zone file. */
export const file: Plugin = definePlugin({
  name: "file",
  setup(c) {
    const zones = new Map<string, Zone | undefined>();
    let fallthrough: readonly string[] | undefined;
    let place = c.place();
    while (c.next()) {
      if (zones.size === 0) place = c.place();
      if (!c.nextArg()) throw c.argErr();
      const path = c.val();
      const origins = c.zones(c.remainingArgs());
      let reloads = true;
      while (c.nextBlock()) {
        const property = c.val();
        const args = c.remainingArgs();
        if (property === "fallthrough") fallthrough = c.fallthrough(args);
        else if (property === "reload") reloads = reload(c, args);
        else if (property !== "reload_by_mtime" && property !== "upstream")
          throw c.err(`unknown property '${property}'`, ["fallthrough", "reload"]);
      }
      for (const origin of origins) zones.set(origin, readZoneFile(c, path, origin, reloads));
    }
    return new ZoneHandler("file", place, zones, fallthrough);
  },
});

function reload(c: Controller, args: readonly string[]): boolean {
  const [text, more] = args;
  if (text === undefined || more !== undefined) throw c.argErr();
  return duration(c, text) !== 0;
}

/** The zone of a file; undefined when the file is missing and would be looked for again. */
export function readZoneFile(
  c: Controller,
  path: string,
  origin: string,
  reloads: boolean,
): Zone | undefined {
  const text = c.readFile(path);
  if (text === undefined) {
    const message = `open ${c.path(path)}: no such file or directory`;
    if (!reloads) throw c.plain(message);
    c.config.log(`[WARNING] plugin/file: Failed to open "${c.path(path)}": trying again in 1m0s`);
    return undefined;
  }
  const parsed = parseZone(text, origin, c.path(path), c.config.files);
  if ("error" in parsed)
    throw c.plain(`${c.path(path)}: dns: ${parsed.error} at line: ${parsed.line}`);
  const unsupported = parsed.records.find(
    (item) => item.type === "NSEC3" || item.type === "NSEC3PARAM",
  );
  if (unsupported !== undefined)
    throw c.plain(
      `NSEC3 zone is not supported, dropping RR: ${unsupported.name} for zone: ${origin}`,
    );
  const soa = parsed.records.findLast((item) => item.type === "SOA");
  if (soa === undefined)
    throw c.plain(`file "${c.path(path)}" has no SOA record for origin ${origin}`);
  return new Zone(origin, soa, parsed.records);
}
