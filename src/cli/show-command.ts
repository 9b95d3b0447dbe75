import { UserError } from "../base/errors.js";
import { nearest } from "../base/nearest.js";
import {
  podEnvironmentText,
  podResolvText,
  showInLab,
  type ShowSettings,
  showTable,
  type Table,
} from "../lab/show.js";
import { splitObjectName } from "../lab/named-object.js";
import { objectRules } from "../lab/object-rules.js";
import { type ClusterWorld, loadWorld, type World } from "../lab/world.js";
import { formatObjectRules, objectRulesJson } from "../view/object-rules.js";
import { formatTable } from "../view/table.js";
import { showKinds, type ShowOptions } from "./commands/show.js";
import { readWorlds } from "./files.js";
import { worldPaths } from "./options.js";
import type { Streams } from "./streams.js";

type ShowKind = (typeof showKinds)[number];

/** `hopwise show KIND [NAME]`: a table of what a world holds, or the text that the real tool would print. */
export function showCommand(
  kind: string,
  name: string | undefined,
  node: string | undefined,
  options: ShowOptions,
  streams: Streams,
): number {
  const known = showKinds.find((one) => one === kind || one === `${kind}s`);
  if (known === undefined) throw unknownKind(kind);
  const paths = worldPaths(options.world);
  const world = loadWorld(readWorlds(paths), paths.join(" "));
  const json = options.json === true || options.output === "json";
  if (
    world.kind === "cluster" &&
    known === "rules" &&
    name !== undefined &&
    splitObjectName(name) !== undefined
  )
    return showObjectRules(world, name, node, json, streams);
  if (node !== undefined)
    throw new UserError("SHOW_WHERE", `"${node}" is one word too many`, {
      help: "a node is named after an object: hopwise show rules svc/shop/api worker-1",
    });
  const shown = shownIn(world, known, name, { seed: options.seed, ipv6: options[6] });
  if (typeof shown === "string")
    streams.out(
      json
        ? `${JSON.stringify({ v: 1, kind: "Show", show: known, text: shown }, undefined, 2)}\n`
        : shown,
    );
  else
    streams.out(
      json
        ? `${JSON.stringify(tableJson(known, shown), undefined, 2)}\n`
        : formatTable(shown.header, shown.rows),
    );
  return 0;
}

/** Forward from an object to the rules that are there for it. */
function showObjectRules(
  world: ClusterWorld,
  name: string,
  node: string | undefined,
  json: boolean,
  streams: Streams,
): number {
  const { title, rules, recorded, object } = objectRules(world, name, node);
  const { origin } = object.loaded;
  const place = origin.assumed === undefined ? origin.placeOf([]) : undefined;
  const listing = { title, place, rules, recorded };
  streams.out(
    json
      ? `${JSON.stringify(objectRulesJson(listing), undefined, 2)}\n`
      : formatObjectRules(listing),
  );
  return 0;
}

function shownIn(
  world: World,
  kind: ShowKind,
  name: string | undefined,
  settings: ShowSettings,
): Table | string {
  if (kind === "env") {
    if (world.kind !== "cluster" || name === undefined)
      throw new UserError("SHOW_WHERE", "env is that of one pod", {
        help: "say which: hopwise show env NAMESPACE/POD",
      });
    return podEnvironmentText(world, name);
  }
  if (world.kind !== "cluster") return showInLab(world, kind, name, settings);
  if (kind === "dns" && name !== undefined) return podResolvText(world, name);
  return showTable(world, kind, name, settings);
}

function tableJson(kind: ShowKind, { header, rows }: Table): object {
  return {
    v: 1,
    kind: "Show",
    show: kind,
    rows: rows.map((row) =>
      Object.fromEntries(header.map((title, column) => [title.toLowerCase(), row[column] ?? ""])),
    ),
  };
}

function unknownKind(kind: string): UserError {
  const near = nearest(kind, showKinds);
  return new UserError("SHOW_KIND", `show does not know "${kind}"`, {
    help: near === undefined ? `it knows ${showKinds.join(", ")}` : `did you mean "${near}"?`,
  });
}
