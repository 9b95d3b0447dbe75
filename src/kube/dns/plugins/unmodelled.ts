import type { Controller } from "../controller.js";
import { questionOf } from "../messages.js";
import { isInZone, longestZone, normalizeZone } from "../names.js";
import { definePlugin, unknownResult, type Plugin } from "../plugin.js";

/** A plugin that needs a service outside the world: a query that comes to it is unknown. */
interface Outside {
  readonly name: string;
  readonly why: string;
  /** The zones it would answer, from its arguments. */
  zones(c: Controller, args: readonly string[]): readonly string[];
}

function outside(plugin: Outside): Plugin {
  return definePlugin({
    name: plugin.name,
    setup(c) {
      const zones: string[] = [];
      let place = c.place();
      while (c.next()) {
        place = c.place();
        zones.push(...plugin.zones(c, c.remainingArgs()));
        while (c.nextBlock()) c.remainingArgs();
      }
      return {
        name: plugin.name,
        place,
        serve(query, walk) {
          const zone = longestZone(zones, questionOf(query).name);
          if (zone === undefined)
            return walk.next(query, { action: "passed", why: "the name is in none of its zones" });
          const why = `plugin ${plugin.name}: ${plugin.why}`;
          walk.respond(unknownResult(why), { action: "unknown", why });
        },
      };
    },
  });
}

const ownZones = (c: Controller, args: readonly string[]): readonly string[] => c.zones(args);
const beforeColon = (_: Controller, args: readonly string[]): readonly string[] =>
  args.flatMap((arg) => normalizeZone(arg.split(":")[0] ?? arg));

export const etcd: Plugin = outside({
  name: "etcd",
  why: "what is in etcd is not part of the world",
  zones: ownZones,
});
export const route53: Plugin = outside({
  name: "route53",
  why: "what Route 53 holds is not part of the world",
  zones: beforeColon,
});
export const clouddns: Plugin = outside({
  name: "clouddns",
  why: "what Cloud DNS holds is not part of the world",
  zones: beforeColon,
});
export const azure: Plugin = outside({
  name: "azure",
  why: "what Azure DNS holds is not part of the world",
  zones: (_, args) => args.flatMap((arg) => normalizeZone(arg.split(":")[1] ?? arg)),
});
export const nomad: Plugin = outside({
  name: "nomad",
  why: "what Nomad knows is not part of the world",
  zones: ownZones,
});
export const secondary: Plugin = outside({
  name: "secondary",
  why: "the zone would be transferred from a server that is not part of the world",
  zones: ownZones,
});
export const grpc: Plugin = outside({
  name: "grpc",
  why: "upstreams over gRPC are not modelled",
  zones: (c, args) => (args[0] === undefined ? c.config.zones : normalizeZone(args[0])),
});
export const tsig: Plugin = outside({
  name: "tsig",
  why: "signed queries are not modelled",
  zones: ownZones,
});
export const dnssec: Plugin = outside({
  name: "dnssec",
  why: "signing answers is not modelled",
  zones: ownZones,
});
export const sign: Plugin = outside({
  name: "sign",
  why: "signing zone files is not modelled",
  zones: (c, args) => c.zones(args.slice(1)),
});

/** A plugin that changes no answer: its arguments are taken as they are. */
function bystander(name: string): Plugin {
  return definePlugin({
    name,
    setup(c) {
      while (c.next()) {
        c.remainingArgs();
        while (c.nextBlock()) c.remainingArgs();
      }
      return undefined;
    },
  });
}

/** Logging, profiling, tracing and listener settings, in the order of the chain's list. */
export const geoip: Plugin = bystander("geoip");
export const proxyproto: Plugin = bystander("proxyproto");
export const quic: Plugin = bystander("quic");
export const grpcServer: Plugin = bystander("grpc_server");
export const https: Plugin = bystander("https");
export const https3: Plugin = bystander("https3");
export const multisocket: Plugin = bystander("multisocket");
export const trace: Plugin = bystander("trace");
export const pprof: Plugin = bystander("pprof");
export const shed: Plugin = bystander("shed");
export const dnstap: Plugin = bystander("dnstap");
export const tls: Plugin = bystander("tls");
export const on: Plugin = bystander("on");

/** `multicluster` as an external plugin; the option of `kubernetes` replaces it. */
export const multicluster: Plugin = outside({
  name: "multicluster",
  why: "only the multicluster option of the kubernetes plugin is modelled",
  zones: (c, args) => c.zones(args).filter((zone) => !isInZone(zone, "arpa.")),
});
