import type { Controller } from "../controller.js";
import { compileRegexp } from "../../../base/go-regexp.js";
import { duration } from "../go-values.js";
import { fqdn, longestZone } from "../names.js";
import { definePlugin, type Plugin } from "../plugin.js";
import { ZoneHandler } from "../zone-handler.js";
import type { Zone } from "../zone.js";
import { readZoneFile } from "./file.js";

/** `auto [ZONES…] { directory DIR [REGEXP ORIGIN]  reload D  fallthrough }`: every matching file of a folder is a zone. */
export const auto: Plugin = definePlugin({
  name: "auto",
  setup(c) {
    const zones = new Map<string, Zone | undefined>();
    let fallthrough: readonly string[] | undefined;
    let place = c.place();
    while (c.next()) {
      place = c.place();
      const origins = c.zones(c.remainingArgs());
      while (c.nextBlock()) {
        const property = c.val();
        const args = c.remainingArgs();
        if (property === "directory") directory(c, args, origins, zones);
        else if (property === "fallthrough") fallthrough = c.fallthrough(args);
        else if (property === "reload") duration(c, args[0] ?? "");
        else throw c.err(`unknown property '${property}'`, ["directory", "reload", "fallthrough"]);
      }
    }
    return new ZoneHandler("auto", place, zones, fallthrough);
  },
});

function directory(
  c: Controller,
  args: readonly string[],
  origins: readonly string[],
  zones: Map<string, Zone | undefined>,
): void {
  const [folder, source = "db\\.(.*)", template = "{1}"] = args;
  if (folder === undefined) throw c.argErr();
  const regex = compileRegexp(source);
  if (typeof regex === "string") throw c.plain(regex);
  const prefix = `${c.path(folder).replace(/\/$/, "")}/`;
  for (const path of [...c.config.files.keys()].toSorted()) {
    if (!path.startsWith(prefix)) continue;
    const match = regex.exec(path.slice(path.lastIndexOf("/") + 1));
    if (match === undefined) continue;
    const origin = fqdn(
      template.replaceAll(/\{(\d+)\}/g, (_, group: string) => match.groups[Number(group)] ?? ""),
    ).toLowerCase();
    if (longestZone(origins, origin) !== undefined)
      zones.set(origin, readZoneFile(c, path, origin, false));
  }
}
