import { UserError } from "../../base/errors.js";
import { Controller, pluginError, type BlockConfig } from "./controller.js";
import type { Corefile, ServerBlock } from "./corefile.js";
import type { Files } from "./files.js";
import { isDomainName, splitKey } from "./names.js";
import { chainOrder, pluginOrder, type PluginEra } from "./order.js";
import type { Handler } from "./plugin.js";

/** One zone of one block: what a key stands for. */
export interface ServedZone {
  readonly scheme: string;
  readonly zone: string;
  readonly port: number;
}

/** A server block that is ready to serve. */
export interface ServerConfig {
  readonly block: ServerBlock;
  readonly served: readonly ServedZone[];
  readonly bind: readonly string[];
  /** Those with a `serve`, in the order of the chain. */
  readonly chain: readonly Handler[];
  readonly handlers: readonly Handler[];
  readonly ednsCodes: ReadonlySet<number>;
}

export interface SetupWorld {
  readonly files?: Files | undefined;
  readonly env?: ReadonlyMap<string, string> | undefined;
  readonly port?: number | undefined;
  readonly era?: PluginEra | undefined;
  log?(line: string): void;
}

/** What a server key may begin with, and the port each means. */
const schemes: ReadonlyMap<string, number> = new Map([
  ["dns", 53],
  ["tls", 853],
  ["quic", 853],
  ["grpc", 443],
  ["https", 443],
  ["https3", 443],
]);

/**
 * Sets up every plugin of every block, in the order of the directives, then in the order of the blocks. Throws a
 * `UserError` in CoreDNS's words. Mirrors caddy.executeDirectives() and core/dnsserver/register.go.
 */
export function setUpBlocks(corefile: Corefile, world: SetupWorld = {}): ServerConfig[] {
  return locating(corefile, () => {
    const prepared = corefile.blocks.map((block) => prepare(block, world));
    for (const plugin of pluginOrder) {
      for (const { block, config } of prepared) {
        const tokens = block.directives.get(plugin.name);
        if (tokens === undefined) continue;
        try {
          const made =
            plugin.setup(new Controller(corefile.file, plugin.name, tokens, config)) ?? [];
          config.handlers.push(...("name" in made ? [made] : made));
        } catch (error) {
          throw pluginError(plugin.name, error);
        }
      }
    }
    for (const { config } of prepared) for (const check of config.afterSetup) check();
    const configs = prepared.map((one) => finish(one, chainOrder(world.era)));
    checkOverlaps(configs);
    return configs;
  });
}

interface Prepared {
  readonly block: ServerBlock;
  readonly served: readonly ServedZone[];
  readonly config: BlockConfig;
}

function prepare(block: ServerBlock, world: SetupWorld): Prepared {
  const served = block.keys.flatMap((key) => servedZones(key, block, world.port ?? 53));
  const config: BlockConfig = {
    block,
    zones: served.map((entry) => entry.zone),
    root: "",
    bind: [],
    handlers: [],
    afterSetup: [],
    files: world.files ?? new Map<string, string>(),
    env: world.env ?? new Map<string, string>(),
    log: (line) => world.log?.(line),
    ednsCodes: new Set(),
  };
  return { block, served, config };
}

function servedZones(key: string, block: ServerBlock, defaultPort: number): ServedZone[] {
  const match = /^([a-z0-9]+):\/\//.exec(key);
  const scheme = match?.[1] !== undefined && schemes.has(match[1]) ? match[1] : "dns";
  const split = splitKey(
    match !== null && schemes.has(match[1] ?? "") ? key.slice(match[0].length) : key,
  );
  if ("error" in split) {
    throw new UserError("COREFILE_KEY", `error inspecting server blocks: ${split.error}`, {
      place: block.place,
      length: key.length,
    });
  }
  const standard = scheme === "dns" ? defaultPort : (schemes.get(scheme) ?? 53);
  const port = split.port === "" ? standard : Number(split.port);
  return split.zones.map((zone) => ({ scheme, zone, port }));
}

function finish({ block, served, config }: Prepared, order: readonly string[]): ServerConfig {
  const rank = (handler: Handler): number => order.indexOf(handler.name);
  const handlers = config.handlers.toSorted((a, b) => rank(a) - rank(b));
  return {
    block,
    served,
    bind: config.bind,
    handlers,
    chain: handlers.filter((handler) => handler.serve !== undefined),
    ednsCodes: config.ednsCodes,
  };
}

/** Mirrors core/dnsserver/address.go: a zone may be served once on each listener, blocks with a view apart. */
function checkOverlaps(configs: readonly ServerConfig[]): void {
  const taken = new Map<string, Set<string>>();
  for (const config of configs) {
    if (config.handlers.some((handler) => handler.filter !== undefined)) continue;
    for (const { scheme, zone, port } of config.served) {
      const key = `${scheme}://${zone}:${port}`;
      const addresses = config.bind.length === 0 ? [""] : config.bind;
      const known = taken.get(key) ?? new Set<string>();
      taken.set(key, known);
      for (const address of addresses) overlap(config, key, address, known);
      for (const address of addresses) known.add(address);
    }
  }
}

function overlap(
  config: ServerConfig,
  key: string,
  address: string,
  known: ReadonlySet<string>,
): void {
  const place = { place: config.block.place };
  const shown = address === "" ? key : `${key} on ${address}`;
  if (known.has(address)) {
    throw new UserError("COREFILE_OVERLAP", `cannot serve ${shown} - it is already defined`, place);
  }
  const [other] = known;
  if (other === undefined || (address !== "" && !known.has(""))) return;
  const against = address === "" ? `${key} on ${other}` : key;
  throw new UserError(
    "COREFILE_OVERLAP",
    `cannot serve ${shown} - zone overlap listener capacity with ${against}`,
    place,
  );
}

/** Adds the line of text an error stands in. */
function locating<T>(corefile: Corefile, action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (!(error instanceof UserError) || error.details.place === undefined) throw error;
    const { file, line } = error.details.place;
    const sourceLine = corefile.sources.get(file)?.split("\n")[line - 1];
    throw new UserError(error.code, error.message, { ...error.details, sourceLine });
  }
}

/** What CoreDNS prints when it starts, without its version. */
export function startupLines(configs: readonly ServerConfig[]): string[] {
  const lines: string[] = [];
  for (const config of configs) {
    for (const { scheme, zone, port } of config.served) {
      if (!followsPreferredSyntax(zone)) {
        lines.push(`Warning: Domain "${zone}" does not follow RFC1035 preferred syntax`);
      }
      const prefix = scheme === "dns" ? "" : `${scheme}://`;
      const on = config.bind.length === 0 ? [""] : config.bind.map((address) => ` on ${address}`);
      for (const suffix of on) lines.push(`${prefix}${zone}:${port}${suffix}`);
    }
  }
  return lines;
}

function followsPreferredSyntax(zone: string): boolean {
  if (zone === "." || zone.endsWith(".arpa.") || !isDomainName(zone)) return true;
  return zone
    .slice(0, -1)
    .split(".")
    .every((label) => /^[a-z]([a-z0-9-]*[a-z0-9])?$/i.test(label));
}
