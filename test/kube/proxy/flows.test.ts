import { describe, expect, it } from "vitest";
import { renderIptables } from "../../../src/kube/proxy/iptables.js";
import { renderNftables } from "../../../src/kube/proxy/nftables.js";
import { configOf, golden, nodeOf, stateOf } from "./cases.js";
import { traceIptables, type Traced } from "./trace-iptables.js";
import { traceNftables } from "./trace-nftables.js";

const { workedExample } = golden;
const state = stateOf(workedExample);
const node = nodeOf(workedExample.config);
const config = configOf(workedExample.config);
const restore = renderIptables(state, node, config).text;
const layouts = {
  L3: renderNftables(state, node, config).text,
  L5: renderNftables(state, node, { ...config, nftLayout: "L5" }).text,
};

const WEB = "10.244.1.10:8080, 10.244.2.10:8080, 10.244.3.10:8080";
const API = "10.244.1.20:8080, 10.244.2.20:8080";
const FRONT = "10.244.1.30:8443, 10.244.2.30:8443";

/** Packet, then what iptables and nftables modes do with it; `nft` only where it differs. */
const FLOWS: readonly (readonly [
  name: string,
  from: string,
  to: string,
  output: string,
  masq: boolean,
  nft?: string,
])[] = [
  ["pod to web", "10.244.1.99", "10.96.10.10:80", WEB, false],
  ["web endpoint to itself through the service", "10.244.1.10", "10.96.10.10:80", WEB, true],
  ["node to web", "192.168.0.2", "10.96.10.10:80", WEB, true],
  ["outside host to web cluster IP", "203.0.113.5", "10.96.10.10:80", WEB, true],
  ["pod to web, wrong port", "10.244.1.99", "10.96.10.10:81", "", false, "REJECT"],
  ["pod to unused cluster IP", "10.244.1.99", "10.96.99.99:80", "", false, "DROP"],
  ["outside to api node port", "203.0.113.5", "192.168.0.2:30080", "10.244.1.20:8080", false],
  ["pod to api node port", "10.244.1.99", "192.168.0.2:30080", API, false],
  ["node to api node port", "192.168.0.2", "192.168.0.2:30080", API, true],
  ["node to 127.0.0.1 api node port", "127.0.0.1", "127.0.0.1:30080", API, true, ""],
  ["allowed client to front LB", "203.0.113.5", "198.51.100.7:443", FRONT, true],
  ["blocked client to front LB", "203.0.113.200", "198.51.100.7:443", "DROP", false],
  ["pod to front LB", "10.244.1.99", "198.51.100.7:443", "DROP", false],
  ["node to front LB", "192.168.0.2", "198.51.100.7:443", FRONT, true],
  ["blocked client to front node port", "203.0.113.200", "192.168.0.2:30443", FRONT, true],
];

describe("what the worked example's rules do with first packets", () => {
  it.each(FLOWS.map((row) => [row[0], row] as const))(
    "%s",
    (_name, [, from, to, output, masq, nft]) => {
      const [destIP = "", destPort] = to.split(":");
      const flow = { sourceIP: from, protocol: "tcp", destIP, destPort: Number(destPort) };
      expect(traceIptables(restore, node.localAddresses, flow)).toEqual({ output, masq });
      const inNft: Traced = { output: nft ?? output, masq: masq && nft === undefined };
      expect(traceNftables(layouts.L3, node.localAddresses, flow)).toEqual(inNft);
      // Layout L5 finds a hairpin only where the chosen endpoint is the client, which the tracer decides by the first one.
      expect(traceNftables(layouts.L5, node.localAddresses, flow)).toEqual(inNft);
    },
  );
});
