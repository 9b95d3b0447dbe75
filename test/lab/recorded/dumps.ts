import { loadWorld, type RecordedWorld } from "../../../src/lab/world.js";
import type { Recording } from "../../../src/core/recording.js";
import { traceRequest } from "../../../src/lab/trace.js";

/** A file of a dump. */
export interface DumpFile {
  readonly file: string;
  readonly text: string;
}

export function json(file: string, value: unknown): DumpFile {
  return { file, text: `${JSON.stringify(value)}\n` };
}

/** One entry of `ip -d -j addr`, with what differs from an Ethernet device that is up. */
export function link(
  ifindex: number,
  ifname: string,
  addresses: readonly (readonly [local: string, length: number])[],
  more: object = {},
): object {
  return {
    ifindex,
    ifname,
    flags: ["BROADCAST", "MULTICAST", "UP", "LOWER_UP"],
    mtu: 1500,
    link_type: "ether",
    address: `02:00:00:00:00:${ifindex.toString(16).padStart(2, "0")}`,
    addr_info: addresses.map(([local, prefixlen]) => ({
      family: "inet",
      local,
      prefixlen,
      scope: "global",
    })),
    ...more,
  };
}

export const loopback: object = {
  ifindex: 1,
  ifname: "lo",
  flags: ["LOOPBACK", "UP", "LOWER_UP"],
  mtu: 65_536,
  link_type: "loopback",
  address: "00:00:00:00:00:00",
  addr_info: [
    { family: "inet", local: "127.0.0.1", prefixlen: 8, scope: "host" },
    { family: "inet6", local: "::1", prefixlen: 128, scope: "host" },
  ],
};

export const openRules = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\nCOMMIT\n";

export function recordedWorld(files: readonly DumpFile[]): RecordedWorld {
  const world = loadWorld(files, "dump");
  if (world.kind !== "recorded") throw new Error(`a world of kind ${world.kind}`);
  return world;
}

export function trace(
  files: readonly DumpFile[],
  source: string,
  destination: string,
  more: Partial<Parameters<typeof traceRequest>[1]> = {},
): Recording {
  return traceRequest(loadWorld(files, "dump"), {
    source,
    destination,
    protocol: "tcp",
    sourcePort: 40_000,
    ttl: undefined,
    seed: 1,
    endpoint: undefined,
    oneWay: false,
    ...more,
  });
}
