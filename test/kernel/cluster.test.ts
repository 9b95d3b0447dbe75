import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { Lab } from "../../src/lab/lab.js";
import { clusterLab } from "../../src/lab/cluster-lab.js";
import { loadWorld } from "../../src/lab/world.js";
import { parseIpv4, type Ipv4 } from "../../src/wire/ip.js";
import { ipPool } from "../kube/calico-texts.js";
import { flannelConfigMap } from "../kube/flannel-texts.js";
import { compareLab } from "./compare.js";
import { missingJudge } from "./judge.js";
import type { ProbeSpec } from "./observation.js";

const missing = missingJudge();

function demo(name: string, network?: string): Lab {
  const folder = new URL(`../../topologies/${name}/`, import.meta.url);
  // flannel and Calico bring a conflist of their own.
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" })
    .toSorted()
    .filter((file) => /\.\w+$/.test(file))
    .filter((file) => network === undefined || !file.endsWith(".conflist"));
  const texts = files.map((file) => ({ file, text: readFileSync(new URL(file, folder), "utf8") }));
  const added = network === undefined ? [] : [{ file: "network.yaml", text: network }];
  const world = loadWorld([...texts, ...added], `demo:${name}`);
  if (world.kind !== "cluster") throw new Error(`${name} is no cluster`);
  return clusterLab(world).lab;
}

function address(text: string): Ipv4 {
  const value = parseIpv4(text);
  if (value === undefined) throw new Error(text);
  return value;
}

const probe = (
  ns: string,
  to: string,
  port: number,
  sourcePort: number,
  protocol: ProbeSpec["protocol"] = "tcp",
): ProbeSpec => ({
  ns,
  protocol,
  address: address(to),
  port,
  sourcePort,
  data: "hello",
  ttl: undefined,
  limit: 2.6,
});

/** Requests that meet no random choice: Services with one endpoint, pods, nodes, and a Service without endpoints. */
const requests: readonly ProbeSpec[] = [
  probe("shop/web-0", "10.96.44.20", 5432, 40_001),
  probe("shop/db-0", "10.96.44.30", 80, 40_002),
  probe("worker-2", "10.96.44.30", 80, 40_003),
  probe("cp-1", "192.168.10.12", 30_080, 40_004),
  probe("shop/web-0", "10.244.1.6", 8080, 40_005),
  probe("shop/web-0", "10.96.0.1", 443, 40_006),
  probe("shop/api-0", "10.244.2.6", 0, 5, "icmp"),
];

describe.runIf(missing === undefined)("demo worlds on the real kernel and in the emulator", () => {
  it("demo:shop carries Services, a node port and pods' traffic frame by frame alike", async () => {
    const lab = demo("shop");
    await compareLab(expect, lab, requests);
  });

  it.each(["vxlan", "host-gw"])(
    "demo:shop with flannel's %s carries the same traffic frame by frame alike",
    async (backend) => {
      const lab = demo("shop", flannelConfigMap(`{"Type": "${backend}"}`));
      await compareLab(expect, lab, requests);
    },
  );

  it.each(["Never", "Always"])(
    "demo:shop on Calico with vxlanMode %s carries the same traffic frame by frame alike",
    async (vxlanMode) => {
      const lab = demo("shop", ipPool({ vxlanMode }));
      // What a node sends to a Service over the tunnel keeps kube-proxy's mark, so the tunnel's own packet is masqueraded
      // too, and to a port of chance.
      const sent = requests.filter(({ ns }) => vxlanMode === "Never" || ns !== "worker-2");
      await compareLab(expect, lab, sent);
    },
  );

  it("demo:shop-firewall drops at the same rule", async () => {
    const lab = demo("shop-firewall");
    const blocked = [
      probe("shop/api-0", "10.96.44.20", 5432, 40_001),
      probe("shop/api-1", "10.96.44.20", 5432, 40_002),
    ];
    await compareLab(expect, lab, blocked);
  });
});
