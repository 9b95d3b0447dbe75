import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { DigRecording } from "../../src/core/dig-recording.js";
import { digRequest } from "../../src/lab/dig.js";
import { seconds } from "../../src/sim/time.js";
import { digQueries } from "../../src/view/dig-queries.js";
import { demoWorld } from "../cli/demo-world.js";

const file = "docs/examples/dns/node-local/node-local-dns.yaml";
const world = demoWorld("dns", { file, text: readFileSync(file, "utf8") });

function dig(from: string, times = 1): DigRecording {
  return digRequest(world, {
    name: "backend.prod.svc.cluster.local.",
    type: "A",
    from,
    search: "glibc",
    seed: 1,
    times,
    every: seconds(1),
  });
}

describe("NodeLocal DNSCache", () => {
  const [round, again] = dig("default/client", 2).rounds;
  if (round === undefined || again === undefined) throw new Error("looked up twice");
  const recording = dig("default/client");

  it("takes the DNS Service's address on its own node, before kube-proxy's rules", () => {
    expect(digQueries(recording, round)[0]?.path).toMatchObject({
      ns: "worker-1",
      address: "10.96.0.10",
      endpoint: undefined,
    });
  });

  it("keeps the pod's packets out of connection tracking", () => {
    const fromPod = round.events.filter(
      (event) =>
        event.kind === "conntrack" && event.ns === "worker-1" && event.action === "untracked",
    );
    const natted = round.events.some(
      (event) =>
        event.kind === "rule" &&
        event.table === "nat" &&
        event.outcome?.startsWith("KUBE-SEP") === true &&
        event.in === "cni0",
    );
    expect(fromPod.length).toBeGreaterThan(0);
    expect(natted).toBe(false);
  });

  it("asks CoreDNS over TCP, through a Service of its own, and keeps the answer", () => {
    const [first] = digQueries(recording, round);
    const forward = first?.plugins.find(({ plugin }) => plugin === "forward");
    expect(forward?.why).toBe("10.96.0.11:53 over tcp: NOERROR");
    expect([...new Set(first?.plugins.map(({ ns }) => ns))]).toEqual([
      "kube-system/node-local-dns-x7k2p",
      expect.stringMatching(/^kube-system\/coredns-[01]$/),
    ]);
    const [second] = digQueries(recording, again);
    expect(second?.packets).toBe(2);
    expect(second?.plugins.at(-1)).toMatchObject({ plugin: "cache", action: "hit" });
  });

  it("does not change who a pod with dnsPolicy Default asks: the resolver of its node", () => {
    const recordingAtCp = dig("kube-system/coredns-1");
    expect(recordingAtCp.nameservers).toEqual(["203.0.113.53"]);
  });
});
