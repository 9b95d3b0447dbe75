import { readdirSync, readFileSync } from "node:fs";
import { describe } from "vitest";
import { Simulation } from "../../src/core/simulation.js";
import { parseCorefile } from "../../src/kube/dns/corefile.js";
import { DnsServer } from "../../src/kube/dns/dns-server.js";
import { newQuery } from "../../src/kube/dns/messages.js";
import { corefileOf, kubernetesView } from "../../src/lab/live-cluster.js";
import { loadWorld } from "../../src/lab/world.js";
import { encodeDns } from "../../src/wire/dns.js";
import { rate } from "./figures.js";

const folder = "topologies/shop";
const world = loadWorld(
  readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".yaml"))
    .toSorted()
    .map((file) => ({ file, text: readFileSync(`${folder}/${file}`, "utf8") })),
  "demo:shop",
);
if (world.kind !== "cluster") throw new Error("demo:shop is a cluster");
const { text, file } = corefileOf(world);
const server = new DnsServer({
  sim: new Simulation({ seed: 1, pernet: [] }),
  name: "coredns",
  corefile: parseCorefile(text, file),
  files: new Map([["/etc/resolv.conf", "nameserver 192.0.2.53\n"]]),
  kubernetes: kubernetesView(world.cluster),
});

const client = { address: "10.244.1.5", port: 40_000, proto: "udp" as const };
const queries = 2_000;

/** Messages as bytes in, bytes out. */
function ask(query: Uint8Array): void {
  for (let n = 0; n < queries; n++) {
    let replies = 0;
    server.receive(query, client, (got) => {
      replies += got.length;
    });
    if (replies !== 1) throw new Error("no reply");
  }
}

describe("CoreDNS with the Corefile of demo:shop, messages in and out of this process", () => {
  const count = { number: queries, what: "queries" };
  const runs = { runs: 10, warmup: 3, budget: 15_000 };
  const service = encodeDns(newQuery("api.shop.svc.cluster.local.", "A", { id: 1 }));
  const missing = encodeDns(newQuery("api.shop.shop.svc.cluster.local.", "A", { id: 1 }));
  const reverse = encodeDns(newQuery("10.44.96.10.in-addr.arpa.", "PTR", { id: 1 }));
  rate("a Service's address", count, () => ask(service), runs);
  rate("a name that does not exist", count, () => ask(missing), runs);
  rate("a Service's name", count, () => ask(reverse), runs);
});
