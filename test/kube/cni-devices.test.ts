import { describe, expect, test } from "vitest";
import { CniHost } from "../../src/kube/cni/host.js";
import { runPlugin } from "../../src/kube/cni/run.js";
import { runTool } from "../../src/tools/index.js";
import { createLinux } from "../../src/tools/stack.js";

const SANDBOX = "/run/netns/c1";

function node(): CniHost {
  const host = new CniHost("node");
  host.addSandbox(SANDBOX, "c1");
  return host;
}

/** Calls a plugin and gives its JSON; its commands are run in the emulator too. */
function call(config: Readonly<Record<string, unknown>>, command = "ADD", host = node()) {
  const full = { cniVersion: "1.0.0", name: "net", ...config };
  const env = {
    CNI_COMMAND: command,
    CNI_CONTAINERID: "cid",
    CNI_NETNS: SANDBOX,
    CNI_IFNAME: "eth0",
    CNI_PATH: "/opt/cni/bin",
  };
  const { stdout } = runPlugin(host, String(config["type"]), { env, stdin: JSON.stringify(full) });
  const sim = createLinux({ seed: 1 });
  for (const ns of ["node", "c1"]) sim.createNamespace(ns);
  for (const each of host.commands) {
    const { code, stderr } = runTool(sim, each);
    expect(`${code} ${stderr}`, each.argv.join(" ")).toBe("0 ");
  }
  const show = (ns: string, line: string): string => {
    return runTool(sim, { ns, argv: line.split(" ") }).stdout;
  };
  return { output: JSON.parse(stdout) as Readonly<Record<string, unknown>>, show, host };
}

const IPAM = { type: "host-local", subnet: "10.22.0.0/24" };

// From the sources of the plugins, release 1.5: the recording has neither.
describe("tap", () => {
  test("makes a device of its own in the container, with addresses and without carrier", () => {
    const { output, show } = call({
      type: "tap",
      mtu: 1400,
      mac: "02:00:00:00:00:55",
      multiQueue: true,
      owner: 0,
      ipam: IPAM,
    });
    expect(output["interfaces"]).toEqual([
      { name: "eth0", mac: "02:00:00:00:00:55", sandbox: SANDBOX },
    ]);
    expect(output["ips"]).toEqual([
      { interface: 0, address: "10.22.0.2/24", gateway: "10.22.0.1" },
    ]);
    expect(show("c1", "ip tuntap")).toBe("eth0: tap multi_queue persist user 0\n");
    expect(show("c1", "ip addr show eth0")).toMatch(
      /<NO-CARRIER,BROADCAST,MULTICAST,UP> mtu 1400 [^]*02:00:00:00:00:55[^]*inet 10\.22\.0\.2\/24/,
    );
  });

  test("without IPAM is a device of layer 2, and needs the bridge that it names", () => {
    expect(call({ type: "tap" }).output["ips"]).toBeUndefined();
    expect(call({ type: "tap", bridge: "br9" }).output["msg"]).toBe(
      "failed to get bridge br9: Link not found",
    );
  });
});

describe("dhcp", () => {
  test("finds no daemon", () => {
    expect(call({ type: "macvlan", master: "eth9", ipam: { type: "dhcp" } }).output["msg"]).toBe(
      "Link not found",
    );
    expect(call({ type: "bridge", ipam: { type: "dhcp" } }).output).toEqual({
      code: 999,
      msg: "error dialing DHCP daemon: dial unix /run/cni/dhcp.sock: connect: no such file or directory",
    });
  });
});

describe("bridge with vlanTrunk", () => {
  test("lets the port carry the VLANs of the trunk with their tags", () => {
    const { show } = call({
      type: "bridge",
      vlan: 100,
      vlanTrunk: [{ id: 12 }, { minID: 10, maxID: 11 }],
      preserveDefaultVlan: false,
    });
    expect(show("node", "bridge vlan show").replaceAll(/veth\S+/g, "port")).toContain(
      "10\n                  11\n                  12\n                  100 PVID Egress Untagged\n",
    );
  });

  test.each([
    [[{ minID: 5 }], "minID and maxID should be configured simultaneously, maxID is missing"],
    [[{ maxID: 5 }], "minID and maxID should be configured simultaneously, minID is missing"],
    [[{ minID: 0, maxID: 5 }], "incorrect trunk minID parameter"],
    [[{ minID: 5, maxID: 4095 }], "incorrect trunk maxID parameter"],
    [[{ minID: 6, maxID: 5 }], "minID is greater than maxID in trunk parameter"],
    [[{ id: 0 }], "incorrect trunk id parameter"],
  ])("refuses %j", (vlanTrunk, why) => {
    expect(call({ type: "bridge", vlanTrunk }).output["msg"]).toBe(
      `failed to parse vlan trunks: ${why}`,
    );
  });
});

describe("bandwidth", () => {
  const limits = {
    ingressRate: 8_000_000,
    ingressBurst: 80_000,
    egressRate: 4_000_000,
    egressBurst: 40_000,
  };

  /** A pod on a bridge, then the plugin. */
  function chained(own: Readonly<Record<string, unknown>>) {
    const host = node();
    const { output: prevResult } = call({ type: "bridge", ipam: IPAM }, "ADD", host);
    return call({ type: "bandwidth", ...own, prevResult }, "ADD", host);
  }

  test("adds its device to the result, and puts token buckets where they belong", () => {
    const { output, show, host } = chained({ runtimeConfig: { bandwidth: limits } });
    const interfaces = output["interfaces"] as readonly { name: string; mac: string }[];
    expect(interfaces.map(({ name }) => name.replace(/^veth.*/, "veth"))).toEqual([
      "cni0",
      "veth",
      "eth0",
      "bwpf74d2f3ccf98",
    ]);
    expect(show("node", "ip link show bwpf74d2f3ccf98")).toContain("<BROADCAST,NOARP,UP,LOWER_UP>");
    const shaped = host.commands.map(({ argv }) => argv.join(" ").replaceAll(/veth\w+/g, "veth"));
    expect(shaped.filter((line) => line.startsWith("tc "))).toEqual([
      "tc qdisc add dev veth root handle 1: tbf rate 8000000bit burst 10000b limit 35000b",
      "tc qdisc add dev veth handle ffff: ingress",
      "tc filter add dev veth parent ffff: protocol all prio 1 u32 match u32 0 0 flowid 1:1 action mirred egress redirect dev bwpf74d2f3ccf98",
      "tc qdisc add dev bwpf74d2f3ccf98 root handle 1: tbf rate 4000000bit burst 5000b limit 17500b",
    ]);
  });

  test("gives back what it was given where no rate is asked for", () => {
    expect(chained({}).output["interfaces"]).toHaveLength(3);
  });

  test.each([
    [{ ingressRate: 1 }, "if rate is set, burst must also be set"],
    [{ egressBurst: 1 }, "if burst is set, rate must also be set"],
    [{ ingressRate: -1, ingressBurst: 1 }, "rate and burst must be a positive integer"],
    [{ ingressRate: 1, ingressBurst: 4_294_967_295 * 8 }, "burst cannot be more than 4GB"],
  ])("refuses %j", (own, why) => {
    expect(chained(own).output["msg"]).toBe(why);
  });

  test("has to come after another plugin", () => {
    expect(call({ type: "bandwidth", ...limits }).output["msg"]).toBe(
      "must be called as chained plugin",
    );
  });
});
